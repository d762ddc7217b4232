"""The sources of images: scikit-learn's digits, CIFAR's files and their download, and an organizer's own."""
