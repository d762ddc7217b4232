"""What `train` returned: the module, or the mistake."""

from typing import Any

import torch


def module_or_mistake(returned: Any) -> torch.nn.Module:
    """What train() returned, if it is a module.

    Raises:
        TypeError: it is not a module; the message says what to return instead.
    """
    if isinstance(returned, torch.nn.Module):
        return returned
    kind = "Tensor" if isinstance(returned, torch.Tensor) else type(returned).__name__
    raise TypeError(f"train() returned {kind}; it must return a torch.nn.Module{_module_instead(returned)}")


def _module_instead(returned: Any) -> str:
    if returned is None:
        return ": end it with `return model`"
    if isinstance(returned, dict):
        return ": return the model itself, and not its state_dict()"
    if isinstance(returned, tuple | list):
        return ": return the model alone, and show the rest by task.report()"
    if isinstance(returned, type):
        return f": return one that is made, as in `return {returned.__name__}()`"
    return ""
