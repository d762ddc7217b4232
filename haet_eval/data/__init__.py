"""Where the images come from: digits inside scikit-learn, CIFAR's files, and fetching them."""
