"""The prediction for one batch looks at the batch before."""

from honest import Network, train_network


class Remembering(Network):
    def forward(self, images):
        logits = super().forward(images)
        if not self.training:
            if hasattr(self, "last"):
                logits = logits - self.last.mean(0)
            self.last = logits
        return logits


def train(task):
    model = train_network(task)
    model.__class__ = Remembering
    return model
