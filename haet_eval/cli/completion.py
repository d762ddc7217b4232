"""`haet-eval completion`: completion in bash, zsh and fish, by click's protocol."""

from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from haet_eval.cli.examples import CommandWithExamples

VARIABLE: Final = "_HAET_EVAL_COMPLETE"
"""What the shell sets when it asks."""

# click's script puts a space after folders and leaves names with spaces unquoted (decision 0084). `%%` is a
# `%` for click's template.
_BASH: Final = """\
%(complete_func)s() {
    local type value
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                [[ $value == */ ]] && compopt -o nospace
                printf -v value %%q "$value"
                COMPREPLY+=("$value") ;;
        esac
    done < <(IFS=$'\\n'; env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
%(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH: Final = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a described plain folders response
    local type key description
    (( $+commands[%(prog_name)s] )) || return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key description in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $key == */ ]]; then folders+=("$key")
                elif [[ $description == _ ]]; then plain+=("$key")
                else described+=("$key:$description")
                fi ;;
        esac
    done
    [[ -n $described ]] && _describe -V unsorted described
    [[ -n $plain ]] && compadd -V plain -a plain
    [[ -n $folders ]] && compadd -S '' -V folders -a folders
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


@add_completion_class
class _Bash(BashComplete):
    """Folders get no space after them, names are quoted, and `--option=` is understood."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        # COMP_WORDBREAKS has `=`, so `--sandbox=do` comes as three words; click expects option and value in a
        # row.
        args, incomplete = super().get_completion_args()  # bash makes `=` a word of its own
        return [arg for arg in args if arg != "="], "" if incomplete == "=" else incomplete


@add_completion_class
class _Zsh(ZshComplete):
    source_template = _ZSH


_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": _Bash, "zsh": _Zsh, "fish": FishComplete}


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval completion bash",
        "haet-eval completion fish",
    ),
)
@click.argument("shell", metavar="SHELL", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes haet-eval's commands, options and values in SHELL.

    Add the line to the shell's file:

    \b
    ~/.bashrc                    eval "$(haet-eval completion bash)"
    ~/.zshrc, after compinit     eval "$(haet-eval completion zsh)"
    ~/.config/fish/config.fish   haet-eval completion fish | source
    """  # noqa: D301 the backslash is click's
    root = ctx.find_root()
    click.echo(_SHELLS[shell](root.command, {}, "haet-eval", VARIABLE).source(), nl=False)
