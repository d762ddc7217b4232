"""What to write instead. The client adds it to the reason of a failure; the host knows it again."""

from typing import Final

BEFORE: Final = "call model.eval() at the end of train(), before it returns the model."
OBSERVERS: Final = (
    "An observer of torch.ao.quantization goes on observing in eval mode: write "
    "`model.apply(torch.ao.quantization.disable_observer)` at the end of train()."
)
STATISTICS: Final = (
    "A normalisation updates its statistics: forward() runs it in training mode; leave out .train() and "
    "training=True there."
)
USED_IN: Final = "It is used in {place}."
MADE_IN: Final = f"model.eval() made it in {{place}}: {BEFORE}"
COMPUTES_IN: Final = f"model.eval() computes in {{place}}: {BEFORE}"
"""What breaks a model that must not change any more, and what to write instead."""

MOST_READ: Final = "Most was read in"
MOST_WAITED: Final = "It waited most in"
"""What comes before the lines that have used up a budget of reading."""

_ADVICE: Final = {
    **dict.fromkeys(
        ("Byte", "unsigned char"),
        "Images are uint8: compute with `images / 255`, or with `images.float()`.",
    ),
    "Target # is out of bounds": "A label is outside of the classes: labels run from 0 to "
    "`task.num_classes - 1`, and the model needs one logit for each class.",
}


def advice_on(failure: str) -> str:
    """What follows the text of a failure: a sentence of advice, if it has the words of a known error."""
    advice = next((advice for words, advice in _ADVICE.items() if words in failure), "")
    ended = failure.endswith((".", ")"))
    return f"{'' if ended else '.'} {advice}" if advice else ""
