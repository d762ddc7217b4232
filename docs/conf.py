"""How Sphinx builds the site: `make docs`."""

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

html_theme = "furo"
html_title = f"haet-eval {release}"
html_theme_options = {"navigation_with_keys": True}
