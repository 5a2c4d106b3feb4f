"""The command `completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

COMPLETION = """\
Print the code by which a shell completes commands, options, their values and files.

  bash:  echo 'source <(deepnull-gwas completion bash)' >> ~/.bashrc
  zsh:   echo 'source <(deepnull-gwas completion zsh)' >> ~/.zshrc     (after compinit)
  fish:  deepnull-gwas completion fish > ~/.config/fish/completions/deepnull-gwas.fish
"""
BASH = """\
_deepnull_gwas() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  local words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "$command $previous" in
{values}
    esac
    if [ -z "$words" ] && [ "${{current#-}}" != "$current" ]; then
      case "$command" in
{options}
      esac
    fi
  fi
  # nothing fits: the shell's own way, files
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _deepnull_gwas deepnull-gwas
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `completion`."""
    completion = commands.add_parser(
        "completion",
        help="print the code by which bash, zsh or fish completes these commands",
        description=COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas completion`."""
    print(fish(top) if given.shell == "fish" else bash(top, of_zsh=given.shell == "zsh"), end="")


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    return next(a.choices for a in top._actions if isinstance(a, argparse._SubParsersAction))


def options_of(command: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """Yield each word that may follow a command, and the values that may follow it: options, and ``""`` for what
    stands without an option."""
    for action in command._actions:
        values = [str(value) for value in action.choices or []]
        if not action.option_strings and values:
            yield "", values
        for option in action.option_strings:
            if option.startswith("--"):
                yield option, values


def bash(top: argparse.ArgumentParser, of_zsh: bool = False) -> str:
    """Return the code for bash; zsh runs the same by way of bashcompinit."""
    names = commands_of(top)
    values, options = [], []
    for name, command in names.items():
        found = dict(options_of(command))
        for option, choices in found.items():
            if choices:
                values.append(f'      "{name} {option or name}") words="{" ".join(choices)}" ;;')
        options.append(f'        {name}) words="{" ".join(filter(None, found))}" ;;')
    code = BASH.format(commands=" ".join(names), values="\n".join(values), options="\n".join(options))
    return f"autoload -U +X bashcompinit && bashcompinit\n{code}" if of_zsh else code


def fish(top: argparse.ArgumentParser) -> str:
    """Return the code for fish."""
    lines = []
    helps = {a.dest: a.help for a in next(a for a in top._actions if a.choices)._choices_actions}
    for name, command in commands_of(top).items():
        about = (helps.get(name) or "").replace("'", "\\'")
        lines.append(f"complete -c deepnull-gwas -n __fish_use_subcommand -f -a {name} -d '{about}'")
        for option, choices in options_of(command):
            of_command = f"complete -c deepnull-gwas -n '__fish_seen_subcommand_from {name}'"
            values = f" -x -a '{' '.join(choices)}'" if choices else ""
            what = f"-l {option[2:]}{values}" if option else f"-f -a '{' '.join(choices)}'"
            lines.append(f"{of_command} {what}")
    return "\n".join(lines) + "\n"
