"""How the packages of this environment differ from those of the sandbox image."""

import re
from importlib.metadata import PackageNotFoundError, version

from haet_eval.runtimes.image_files import sandbox_folder


def differing_packages() -> list[str]:
    """`numpy 2.3.1 (the image has 2.4.6)` for each package of the image's list that is not the same here.

    A local part of a version, as in `2.15.0+cpu`, says how a package was built and is not compared.
    """
    text = (sandbox_folder() / "constraints.txt").read_text("utf-8")
    pairs = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    here = [(name, _version(name), listed) for name, listed in pairs]
    return [f"{name} {found} (the image has {listed})" for name, found, listed in here if found != listed]


def _version(name: str) -> str:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return "missing"
