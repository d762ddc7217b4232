"""How Sphinx builds the site: `make docs`."""

import os
import re
from typing import Any

from haet_eval import __version__

project = "haet-eval"
author = "the authors of haet-eval"
project_copyright = "the authors of haet-eval"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images/README.md"]
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(torch|collections)\..*")]  # no inventory of theirs is fetched

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"


_AS_EMITTED = "sphinx-click-process-envars"
"""What sphinx-click 6 calls the event when it emits it; it announces the other spelling."""


def setup(app: Any) -> None:
    """Leave the variables of hidden options out of the reference of the command line."""
    app.add_event(_AS_EMITTED)
    for event in ("sphinx-click-process-envvars", _AS_EMITTED):
        app.connect(event, _without_hidden)


def _without_hidden(_: Any, ctx: Any, lines: list[str]) -> None:
    hidden = {parameter.envvar for parameter in ctx.command.params if getattr(parameter, "hidden", False)}
    blocks = re.split(r"(?m)^(?=\.\. _)", "\n".join(lines))
    kept = [block for block in blocks if not any(f".. envvar:: {name}\n" in block for name in hidden)]
    lines[:] = "".join(kept).splitlines()


html_theme = "furo"
html_title = f"haet-eval {release}"
html_theme_options: dict[str, Any] = {"navigation_with_keys": True}
# The address of the source: with it, pages get a link to edit them.
if repository := os.environ.get("DOCS_REPOSITORY"):
    html_theme_options |= {
        "source_repository": repository,
        "source_branch": "main",
        "source_directory": "docs/",
    }
