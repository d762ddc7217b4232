"""A leaderboard as one self-contained page: no script, nothing fetched."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from haet_eval.reports.rows import Leaderboard, by_pool, pool_title
from haet_eval.reports.text import NOTHING, printable, readable_accuracy, readable_count


def leaderboard_html(leaderboard: Leaderboard) -> str:
    """A page with a table for each pool, and one for entries without a place."""
    pools = [(pool_title(pool), list(places)) for pool, places in by_pool(leaderboard)]
    return _environment().get_template("leaderboard.html").render(pools=pools, unranked=leaderboard.unranked)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("haet_eval", "resources/pages"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "accuracy": readable_accuracy,
        "count": readable_count,
        "printable": lambda text: printable(text or NOTHING),
    }
    return environment
