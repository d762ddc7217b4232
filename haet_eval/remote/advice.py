"""What to write instead, by words of PyTorch's own errors. The client adds it; the host knows it again."""

from typing import Final

_ADVICE: Final = {
    **dict.fromkeys(
        ("Byte", "unsigned char"),
        "Images are uint8: compute with `images / 255`, or with `images.float()`.",
    ),
    "Target # is out of bounds": "A label is outside of the classes: labels run from 0 to "
    "`task.num_classes - 1`, and the model needs one logit for each class.",
}


def advice_on(failure: str) -> str:
    """What follows the text of a failure: a sentence of advice, if there is some."""
    advice = next((advice for words, advice in _ADVICE.items() if words in failure), "")
    ended = failure.endswith((".", ")"))
    return f"{'' if ended else '.'} {advice}" if advice else ""
