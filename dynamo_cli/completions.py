"""The completion scripts of three shells, made from the catalog.

Commands and options are static in them, so that a Tab starts no Python; only keys and node addresses are asked for
(`dyn __complete`). Each script walks the words of the line to the command they name, then looks into its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dynamo_cli.catalog import CommandSpec, ParameterSpec, catalog
from dynamo_cli.commands.help import TOPICS
from dynamo_cli.completion_parts import BASH, FISH, KIND, WALK, ZSH

HEADER = "Generated from the command tree by `dyn completion {shell}`: do not edit."
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """The completion script of `bash`, `zsh` or `fish`."""
    makers: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
    return makers[shell]()


# What all three need ----------------------------------------------------------------------------------


def paths() -> Iterator[tuple[str, CommandSpec]]:
    """Every command with its words as one string; `dyn` itself is the empty one."""
    for spec in catalog():
        yield " ".join(spec.path), spec


def value_flags() -> list[str]:
    """The flags whose value is the next word, as `PATH:FLAG`; `*:FLAG` for those that every command takes."""
    found = dict.fromkeys(
        f"{'*' if p.is_global else path}:{flag}"
        for path, spec in paths()
        for p in spec.parameters
        if p.flags and p.takes_value
        for flag in p.flags
    )
    return list(found)


def positions(spec: CommandSpec) -> list[str]:
    """What completes each argument by its place, from 1: one word, or several with commas; `*`: and all that follow."""
    kinds = [(argument.completes or "none").replace(" ", ",") for argument in spec.arguments]
    if kinds == ["topics"]:
        commands = next(root.subcommands for path, root in paths() if not path)
        kinds = [",".join((*commands, *TOPICS))]
    if spec.arguments and spec.arguments[-1].repeats:
        kinds[-1] += "*"
    return kinds


def choices(spec: CommandSpec) -> Iterator[tuple[ParameterSpec, str]]:
    """The options whose value can be completed, and by what."""
    for parameter in spec.parameters:
        if parameter.flags and parameter.takes_value and parameter.completes:
            yield parameter, parameter.completes


def tables(quote: str = '"') -> tuple[list[str], list[str], list[str], list[str]]:
    """The case arms that bash and zsh share: subcommands, options, option values, arguments."""
    subcommands, options, values, arguments = [], [], [], []
    for path, spec in paths():
        arm = f"        {quote}{path}{quote})"
        if spec.subcommands:
            subcommands.append(f"{arm} list={quote}{' '.join(spec.subcommands)}{quote} ;;")
        own = [flag for p in spec.own_options for flag in p.flags]
        if own:
            options.append(f"{arm} list={quote}{' '.join(own)}{quote} ;;")
        values += [
            f"        {'|'.join(f'{quote}{path}:{flag}{quote}' for flag in p.flags)}) list={quote}{kind}{quote} ;;"
            for p, kind in choices(spec)
            if not p.is_global
        ]
        if spec.arguments:
            arguments.append(f"{arm} list={quote}{' '.join(positions(spec))}{quote} ;;")
    root = next(spec for path, spec in paths() if not path)
    for p, kind in choices(root):
        values.append(f"        {'|'.join(f'*:{flag}' for flag in p.flags)}) list={quote}{kind}{quote} ;;")
    everywhere = [flag for p in root.global_options for flag in p.flags]
    options.append(f"    esac\n    list+={quote} {' '.join(everywhere)}{quote}")
    return subcommands, options, values, arguments


def _lookups() -> str:
    """Functions `_dyn_subcommands PATH`, `_dyn_options PATH`, `_dyn_value PATH:FLAG`, `_dyn_arguments PATH`."""
    subcommands, options, values, arguments = tables()
    parts = []
    for name, arms in (("subcommands", subcommands), ("value", values), ("arguments", arguments)):
        body = "\n".join(arms)
        parts.append(f'_dyn_{name}() {{\n    list=""\n    case "$1" in\n{body}\n    esac\n}}\n')
    body = "\n".join(options)
    parts.append(f'_dyn_options() {{\n    list=""\n    case "$1" in\n{body}\n}}\n')
    parts.append(f'_dyn_takes_value() {{\n    case "$1" in\n{_value_arms()}    esac\n    return 1\n}}\n')
    return "\n".join(parts)


def _value_arms() -> str:
    everywhere = "|".join(flag for flag in value_flags() if flag.startswith("*:"))
    own = "|".join(f'"{flag}"' for flag in value_flags() if not flag.startswith("*:"))
    return f"        {everywhere}) return 0 ;;\n        {own}) return 0 ;;\n"


def bash() -> str:
    """The script for bash 4 and later; it needs no other package."""
    head = f"# bash completion for dyn. {HEADER.format(shell='bash')}\n# Load it:  source <(dyn completion bash)\n"
    return "\n".join([head, _lookups(), WALK, KIND.replace("LIST", "$list") + BASH])


def zsh() -> str:
    """The script for zsh: a file `_dyn` on the fpath, or sourced."""
    head = f"#compdef dyn\n# zsh completion for dyn. {HEADER.format(shell='zsh')}\n"
    head += "# Load it:  source <(dyn completion zsh), or put it as _dyn into a directory of $fpath\n"
    return "\n".join([head, _lookups(), _zsh_descriptions(), WALK, KIND.replace("LIST", "${=list}") + ZSH])


def _zsh_descriptions() -> str:
    """Functions that set `described` to `word:what it does` lines."""
    subcommands, options = [], []
    for path, spec in paths():
        if spec.subcommands:
            named = [(name, _summary((*spec.path, name))) for name in spec.subcommands]
            subcommands.append(f'        "{path}") described=({_zsh_words(named)}) ;;')
        own = [(flag, p.help) for p in spec.own_options for flag in p.flags]
        if own:
            options.append(f'        "{path}") described=({_zsh_words(own)}) ;;')
    root = next(spec for path, spec in paths() if not path)
    everywhere = _zsh_words([(flag, p.help) for p in root.global_options for flag in p.flags])
    return (
        '_dyn_describe_subcommands() {\n    case "$1" in\n' + "\n".join(subcommands) + "\n    esac\n}\n\n"
        '_dyn_describe_options() {\n    described=()\n    case "$1" in\n' + "\n".join(options) + "\n    esac\n"
        f"    described+=({everywhere})\n}}\n"
    )


def _zsh_words(named: list[tuple[str, str]]) -> str:
    return " ".join(_quoted(f"{name}:{text.rstrip('.')}") for name, text in named)


def _summary(path: tuple[str, ...]) -> str:
    return next(spec.summary for spec in catalog() if spec.path == path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish() -> str:
    """The script for fish 3 and later."""
    head = f"# fish completion for dyn. {HEADER.format(shell='fish')}\n# Load it:  dyn completion fish | source\n"
    arms = ["function __dyn_subcommands", "    switch $argv[1]"]
    lines = ["complete -c dyn -f"]
    for path, spec in paths():
        if spec.subcommands:
            arms += [f"        case {_quoted(path)}", f"            string split ' ' '{' '.join(spec.subcommands)}'"]
        for name in spec.subcommands:
            summary = _quoted(_summary((*spec.path, name)).rstrip("."))
            lines.append(f'complete -c dyn -n "__dyn_at {_quoted(path)} 1" -a {name} -d {summary}')
        for index, kind in enumerate(positions(spec), start=1):
            if kind.rstrip("*") != "none":
                words = _fish_words(kind.rstrip("*").replace(",", " "))
                place = f"{index}+" if kind.endswith("*") else str(index)
                lines.append(f'complete -c dyn -n "__dyn_at {_quoted(path)} {place}" -a {words}')
        lines += [_fish_option(p, f'-n "__dyn_in {_quoted(path)}" ') for p in spec.own_options]
        if not path:
            lines += [_fish_option(p, "") for p in spec.global_options]
    arms += ["    end", "end"]
    flags = " ".join(flag.removeprefix("*:") for flag in value_flags() if flag.startswith("*:"))
    own = " ".join(_quoted(flag) for flag in value_flags() if not flag.startswith("*:"))
    walk = FISH.replace("OWN_VALUE_FLAGS", own).replace("VALUE_FLAGS", flags)
    return "\n".join([head, "\n".join(arms) + "\n", walk, "\n".join(lines) + "\n"])


def _fish_option(parameter: ParameterSpec, condition: str) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in parameter.flags]
    value = " -x" if parameter.takes_value else ""
    if parameter.takes_value and parameter.completes == "files":
        value = " -r -F"
    elif parameter.takes_value and parameter.completes:
        value = f" -x -a {_fish_words(parameter.completes)}"
    return f"complete -c dyn {condition}{' '.join(flags)}{value} -d {_quoted(parameter.help.rstrip('.'))}"


def _fish_words(kind: str) -> str:
    if kind in ("keys", "nodes", "names", "contexts"):
        return f"'(__dyn_dynamic {kind})'"
    if kind == "values":
        return "'(__dyn_files)'"
    return "'(__fish_complete_path (commandline -ct))'" if kind == "files" else _quoted(kind)
