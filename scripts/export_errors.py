"""Write docs/reference/errors.md, the catalogue of errors, from the raise statements in the code."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "errors.md"
_KINDS: Final = {
    "SubmissionFailure": "The submission",
    "InvalidSubmission": "The submission",
    "Refusal": "What handles refuse",
    "UsageProblem": "The command line and other input",
    "EnvironmentProblem": "The machine",
}
# By hand: this script reads the code without importing it, so it does not see which class derives from which.
_FAMILY: Final = {
    "NotFetched": "EnvironmentProblem",
    "NodeProblem": "EnvironmentProblem",
    "ProcessDied": "EnvironmentProblem",
    "Abandoned": "EnvironmentProblem",
    "InternalFault": "EnvironmentProblem",
    "KeptElsewhere": "EnvironmentProblem",
    "RecordTooLarge": "EnvironmentProblem",
}
_ABOUT: Final = {
    "The submission": "The contestant's to mend: the record has the verdict, the reason and the code"
    " (`status.code`).",
    "What handles refuse": "Raised in the submission's own code, at the line that its traceback names; code"
    " that does not catch it ends with this code. [Porting](../porting.md) says more.",
    "The command line and other input": "Nothing was judged; exit status 2.",
    "The machine": "Exit status 4. Nothing was judged, and the run can be repeated; only what ended with"
    " `results-kept-elsewhere` was judged and is to be taken in.",
}
_TO_DO: Final = {
    "below-threshold": "train longer, or a better model; the record's reports show how the training went.",
    "code-failed": "correct the line that the traceback names; the traceback is in the record's log.",
    "connection-closed": "leave the process's sockets and files alone; `haet-eval check` runs the same code.",
    "interrupted": "run the same command again.",
    "logits-nan": "look for the first loss that is not finite; the record names it (`not_finite`).",
    "operator-unpriced": "write the call with operators that the [counting standard](../counting-standard.md)"
    " lists.",
    "process-ended": "use less memory and fewer processes; the verdict names the limit if there was one.",
    "tensor-mismatch": "report it with the submission if the code is ordinary PyTorch.",
}
"""What to do about some errors, in words that the place which raises them does not have."""
_IN_GENERAL: Final = {
    "The submission": "change what the message names; `haet-eval check` shows whether that was all.",
    "What handles refuse": "write that line as the message says.",
    "The command line and other input": "correct what the message names, and run the command again.",
    "The machine": "correct what the message names on this machine, and run the same command again.",
}
"""What to do about errors whose message says it itself."""
_INTRODUCTION: Final = """# Errors

Every error has a code that does not change when its words do, and that is its anchor on this page:
`limit-time` is explained at `errors.html#limit-time`. Parts in braces are filled in. This page is written by
`python -m scripts.export_errors` from the code.
"""
_IN_WORDS: Final = {
    "below-threshold": "The accuracy, of several runs their statistics, is below what the task asks for.",
    "code-failed": "The submission's code raised an error: its own words, led by the line that raised it.",
    "competition-unknown": "There is no such competition; a similar name is suggested.",
    "handle-extension": "Extensions in C++, CUDA or Triton cannot be used: the data is in the executor.",
    "handle-operator": "The operator is not allowed, or was given arguments that it does not take.",
    "interrupted": "Someone stopped it; the record says how far it had come.",
    "logits-nan": "The accuracy is too low, and the logits of some test images contain NaN.",
    "node-busy": "Another run is being made there, and time or energy is ranked.",
    "operator-failed": "An operator that the submission asked for failed in the executor, with these words.",
    "operator-unpriced": "The counting standard has no price for an operator that was called.",
    "process-ended": "The submission's process, or an operator that it asked for, ended: crashed, killed,"
    " out of memory or of processes, as the verdict says.",
    "tensor-mismatch": "A call did something to the executor's tensors that the meter did not count, or the"
    " inventory or the weights differ from its books. If the code is ordinary PyTorch, please report it.",
    "signature-invalid": "The envelope cannot be read or was changed.",
    "task-unknown": "There is no such task; a similar name is suggested.",
    "worker-ended": "A worker was stopped from outside, or ended before any code of the submission was run.",
    "zip-zip64": "The zip or an entry uses the zip64 form, which only archives beyond 4 GiB need.",
}
"""What is said in words that the place which raises it does not have."""


@dataclass(frozen=True, order=True)
class Entry:
    """One place that raises an error. `message` and `hint` have `{…}` where values go."""

    kind: str
    code: str
    message: str
    hint: str


def entries() -> list[Entry]:
    """Every error of the package, each once, in the order of the page."""
    files = sorted((ROOT / "haet_eval").rglob("*.py"))
    # A set, because several places raise the same error in the same words.
    found = {entry for file in files for entry in _entries(ast.parse(file.read_text("utf-8")))}
    kinds = list(dict.fromkeys(_KINDS.values()))
    return sorted(found, key=lambda entry: (kinds.index(entry.kind), entry))


def errors_page() -> str:
    """The page: a section for each kind, a row for each code."""
    lines = [_INTRODUCTION]
    for kind, of_kind in groupby(entries(), key=lambda entry: entry.kind):
        lines += [f"## {kind}", "", _ABOUT[kind], ""]
        for code, same in groupby(of_kind, key=lambda entry: entry.code):
            lines += [*_section(code, list(same)), ""]
    return "\n".join(lines)


def _section(code: str, same: list[Entry]) -> Iterator[str]:
    """One code: its heading, which is its anchor, what happened and what to do."""
    yield f"### {code}"
    yield ""
    # Several places may raise one code in different words: the page shows each of them.
    yield from _listed([entry.message for entry in same]) or [_IN_WORDS[code]]
    yield ""
    hints = _listed([entry.hint for entry in same])
    if hints:
        yield "What to do:"
        yield ""
        yield from (f"- {hint}" for hint in hints)
    else:
        yield f"What to do: {_TO_DO.get(code) or _IN_GENERAL[same[0].kind]}"


def _listed(texts: Iterable[str]) -> list[str]:
    """Each once, a paragraph each, but for those that are nothing but a value filled in."""
    # A message that is nothing but a value filled in tells a reader nothing.
    escaped = dict.fromkeys(_escaped(text) for text in texts if re.sub(r"\{[^}]*\}", "", text))
    return [f"{text}\\" for text in list(escaped)[:-1]] + list(escaped)[-1:]


def _escaped(text: str) -> str:
    # The backslash comes first, because the others are escaped with it.
    for character in "\\|<>*_[]#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _entries(tree: ast.Module) -> Iterator[Entry]:
    constants = _constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = _FAMILY.get(node.func.id, node.func.id)
            code = next((one.value for one in node.keywords if one.arg == "code"), None)
            # A code that is not written out here is passed on, and the place that has it is found itself.
            if name in _KINDS and isinstance(code, ast.Constant):
                texts = [_template(one, constants) for one in node.args]
                # Its first argument is the verdict.
                texts = texts[1:] if node.func.id == "SubmissionFailure" else texts
                message, hint, *_ = [*texts, "", ""]
                # The second argument of a refusal is not a hint.
                yield Entry(_KINDS[name], str(code.value), message, "" if name == "Refusal" else hint)


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts that the module names, its own and those that it imports from another of ours."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            source = ROOT / f"{node.module.replace('.', '/')}.py"
            if source.is_file():
                named = _own_constants(ast.parse(source.read_text("utf-8")))
                found |= {one.name: named[one.name] for one in node.names if one.name in named}
    return found | _own_constants(tree)


def _own_constants(tree: ast.Module) -> dict[str, str]:
    """Texts that a module gives names to."""
    found: dict[str, str] = {}
    # Only the top of the module: names inside of functions have values that are known at run time only.
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            found[target.id] = _template(node.value, found)
    return found


def _template(node: ast.expr, constants: dict[str, str]) -> str:
    """The text of an expression, with `{name}` for each part that is known only at run time."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if constants.get(name):
            return constants[name]
        case ast.JoinedStr(values=values):
            return "".join(_template(value, constants) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)) if constants.get(name):
            return constants[name]
        case ast.FormattedValue(value=value):
            return f"{{{_last_name(value)}}}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _template(left, constants) + _template(right, constants)
        case _:
            return f"{{{_last_name(node)}}}"


def _last_name(node: ast.expr) -> str:
    """What stands for a value: the last word of how the code names it."""
    names = [
        inner.attr if isinstance(inner, ast.Attribute) else inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute | ast.Name)
    ]
    return names[0].strip("_").lower().replace("_", " ") if names else "…"


if __name__ == "__main__":
    PAGE.write_text(errors_page(), encoding="utf-8")
