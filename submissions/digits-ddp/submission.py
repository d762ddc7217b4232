"""Data-parallel training: the same program on every node, each with its share of every batch."""

import os

import torch
from torch import distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

EPOCHS = 15
BATCH_SIZE = 64
PEAK_LEARNING_RATE = 0.1


class GreyThumbnails(nn.Module):
    """uint8 images [B, 3, 32, 32] -> the 8×8 grey pictures from which they were enlarged, within [0, 1]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1, ::4, ::4].float() / 255


def classifier(num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2, num_classes),
    )


def train(task) -> nn.Module:
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    prepare, model = GreyThumbnails(), classifier(task.num_classes).to(task.device)
    network = model
    if world_size > 1:
        distributed.init_process_group("nccl" if task.device.type == "cuda" else "gloo")
        network = DistributedDataParallel(model)

    inputs, labels = prepare(task.images), task.labels
    steps = len(inputs) // BATCH_SIZE
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK_LEARNING_RATE, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=EPOCHS * steps, cycle_momentum=False
    )
    for epoch in range(EPOCHS):
        # Every node has the same seed, and so draws the same order; its share is every world_size-th image.
        for batch in torch.randperm(len(inputs), device=task.device).split(BATCH_SIZE)[:steps]:
            share = batch[rank::world_size]
            loss = functional.cross_entropy(network(inputs[share]), labels[share])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        task.report(epoch=epoch + 1, epochs=EPOCHS, loss=loss.item())
    if world_size > 1:
        distributed.destroy_process_group()
    return nn.Sequential(prepare, model)  # the one of rank 0 is judged
