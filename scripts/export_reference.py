"""Write docs/reference/record.md and competition.md from the models of a record and of a competition."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from haet_eval import record
from haet_eval.competition import schema_text
from haet_eval.record import json_schema

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "record.md"
COMPETITION_PAGE: Final = PAGE.with_name("competition.md")
_INTRODUCTION = """# The record

One JSON document for each evaluation, ASCII, named by its digest and never changed. A *count* is an
integer of any size, written as a string of digits, since many JSON parsers round numbers beyond 2⁵³: read it
by `int(document["complexity"])`, or with `haet_eval.load_records`. A *moment* is RFC 3339 in UTC. *Nothing*
is `null` in JSON and None below. Artefacts lie beside the record as `artifacts/<sha256>.<suffix>`. The JSON
schema is `haet_eval/resources/record.schema.json`.
This page is written by `python -m scripts.export_reference`.
"""


_COMPETITION_INTRODUCTION: Final = """# The competition file

One TOML file, UTF-8; [how to write one](../competitions.md). Unknown keys are refused. Numbers of bytes and
seconds are integers, accuracies fractions from 0 to 1. `haet-eval competition schema` prints the JSON schema.
This page is written by `python -m scripts.export_reference`.
"""
# The order of the file that users write, and not that of the schema.
_TABLES: Final = {
    "Competition": "the top of the file",
    "Limits": "`[limits]`",
    "Budgets": "`[budgets]`, and `[tasks.NAME.budgets]` for a task's own",
    "Runs": "`[runs]`",
    "Phase": "`[[phases]]`, one for each",
    "Task": "`[tasks.NAME]`, NAME being what a manifest says",
    "OwnData": "`[tasks.NAME.data]`",
    "EnergyModel": '`[energy_model]`, for `ranking = "modelled_energy"`',
}


def record_page() -> str:
    """The page: a section for the record and for each of its parts, in the order in which they come up."""
    schema = json_schema()
    parts = {"Record": schema, **schema["$defs"]}
    written = field_meanings()
    sections = [_section(name, parts[name], written.get(name, {})) for name in _in_order("Record", parts)]
    return "\n".join([_INTRODUCTION, *sections])


def field_meanings() -> dict[str, dict[str, str]]:
    """What stands under each field of each part of a record, the fields of its bases included."""
    # Python drops the strings under fields, so they are read from the source.
    classes = [one for one in ast.parse(inspect.getsource(record)).body if isinstance(one, ast.ClassDef)]
    own = {one.name: dict(_documented(one)) for one in classes}
    bases = {one.name: [base.id for base in one.bases if isinstance(base, ast.Name)] for one in classes}
    found: dict[str, dict[str, str]] = {}
    for name in own:
        # Bases stand above in the file, so they have been read already.
        inherited = [found.get(base, {}) for base in bases[name]]
        found[name] = {key: text for part in (*inherited, own[name]) for key, text in part.items()}
    return found


def _documented(part: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(part.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
            case _:
                pass


def competition_page() -> str:
    """The page: a section for each table of the file, and a line for each of its keys."""
    schema = json.loads(schema_text())
    parts = {"Competition": schema, **schema["$defs"]}
    return "\n".join([_COMPETITION_INTRODUCTION, *(_keys(name, parts[name]) for name in _TABLES)])


def _keys(name: str, schema: dict[str, Any]) -> str:
    lines = [f"## {name}", "", f"In the file: {_TABLES[name]}. {schema['description']}", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    needed = schema.get("required", [])
    for key, one in schema["properties"].items():
        default = "needed" if key in needed else _default(one.get("default"))
        # TOML has no null: a file leaves the key out.
        kind = _type(one).removesuffix(" or nothing")
        lines.append(f"| `{key}` | {kind} | {default} | {one.get('description', 'See there.')} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if value in (None, "", []) or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value)}`"


def _in_order(root: str, parts: dict[str, Any]) -> list[str]:
    found, waiting = [], [root]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            # Parts in the order in which a reader meets them.
            waiting += [part for part in _references(parts[name]) if part not in found]
    return found


def _references(schema: Any) -> list[str]:
    """Names of the parts that a schema mentions, in order, but for its own definitions."""
    if isinstance(schema, list):
        return [name for one in schema for name in _references(one)]
    if not isinstance(schema, dict):
        return []
    own = [_name(schema)] if "$ref" in schema else []
    return own + [name for key, one in schema.items() if key != "$defs" for name in _references(one)]


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _section(name: str, schema: dict[str, Any], meanings: Mapping[str, str]) -> str:
    lines = [f"## {name}", "", schema.get("description", "").strip(), ""]
    if "properties" in schema:
        lines += ["| field | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{field}` | {_type(one)} | {meanings[field]} |" for field, one in schema["properties"].items()
        ]
    elif "enum" in schema:
        lines += [", ".join(f"`{value}`" for value in schema["enum"])]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = _name(schema)
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    match schema:
        case {"type": "array", "prefixItems": items}:
            return "[" + ", ".join(map(_type, items)) + "]"
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_type(values)}"
        case {"type": "string", "format": "date-time"}:
            return "moment"
        # The pattern of numbers that are written as texts of digits, because JSON parsers round large ones.
        case {"type": "string", "pattern": pattern} if pattern.startswith("^(0|"):
            return "count"
        case {"type": "string", "pattern": pattern} if "{64}" in pattern:
            return "SHA-256"
        case _:
            return str(schema.get("type", "anything")).replace("null", "nothing")


if __name__ == "__main__":
    PAGE.write_text(record_page(), encoding="utf-8")
    COMPETITION_PAGE.write_text(competition_page(), encoding="utf-8")
