"""The predicted labels of a record, as an evaluation stores them: one in each line."""

import numpy as np
import numpy.typing as npt


def read_labels(stored: bytes) -> npt.NDArray[np.int64]:
    """The labels in a file of predictions, [N].

    Raises:
        ValueError: it holds something else.
    """
    try:
        return np.array([int(line) for line in stored.decode("ascii").splitlines()], dtype=np.int64)
    # A hostile file may have labels of any length.
    except OverflowError:
        raise ValueError("a label is no number of 64 bits") from None
