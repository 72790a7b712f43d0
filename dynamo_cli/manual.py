"""The manual page dyn(1), made from the catalog: roff, as `man` reads it.

`completions/dyn.1` is what `dyn man --roff` prints, checked in, so that a wheel carries it; a test fails when it is
stale.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynamo_cli.catalog import CommandSpec, ParameterSpec, catalog
from dynamo_cli.exit_status import MEANINGS
from dynamo_cli.layers import OF_CONTEXT
from dynamo_cli.options import PANELS
from dynamo_cli.settings import SETTINGS

SUMMARY = "a key-value store that takes every write and shows every conflict"

FILES = (
    ("$XDG_CONFIG_HOME/dyn/config.toml", "Settings for every context; see dyn config."),
    ("$XDG_CONFIG_HOME/dyn/contexts/NAME.toml", "A saved context; see dyn context."),
    ("$XDG_CONFIG_HOME/dyn/cluster.key", "The key of this account's clusters on this machine."),
    ("$XDG_DATA_HOME/dyn/CLUSTER/NAME", "The store of a node."),
    ("$XDG_STATE_HOME/dyn", "History of the shell, results of bench, the last crash."),
    ("./dyn.toml", "Settings of a node that is started here; the table client is of the other commands."),
)


def page(specs: tuple[CommandSpec, ...] | None = None) -> str:
    """The page of all commands, or of these alone."""
    from node import __version__

    chosen = tuple(spec for spec in catalog() if spec.runs) if specs is None else specs
    lines = [
        '.\\" Made from the command tree by `dyn man --roff`: do not edit.',
        f'.TH DYN 1 "" "dyn {__version__}" "User Commands"',
        ".nh",
        ".ad l",
    ]
    if specs is None:
        lines += _front()
        for panel in PANELS:
            there = [spec for spec in chosen if spec.panel == panel and spec.path]
            lines += [f'.SH "{_quoted(panel.upper())}"'] if there else []
            lines += [line for spec in there for line in _command(spec, ".SS")]
        lines += _back()
    else:
        lines += [".SH NAME", f"{_text(chosen[0].name)} \\- {_text(_bare(chosen[0].summary))}"]
        lines += [line for spec in chosen for line in _command(spec, ".SH")]
    return "\n".join(lines) + "\n"


def _front() -> Iterator[str]:
    root = catalog()[0]
    yield from (".SH NAME", f"dyn \\- {_text(SUMMARY)}", ".SH SYNOPSIS")
    yield "\\fBdyn\\fR [\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]..."
    yield ".SH DESCRIPTION"
    yield _text(
        "dyn runs nodes of a leaderless, replicated key-value store in the manner of Amazon's Dynamo, and is how "
        "people look into one. Any node answers any request. Without a command it says where it is, and what can be "
        "typed next."
    )
    yield ".SH OPTIONS"
    yield "They may stand anywhere on the line."
    yield from _options(root.global_options)


def _back() -> Iterator[str]:
    yield '.SH "EXIT STATUS"'
    for status, meaning in MEANINGS.items():
        yield from (".TP", f"\\fB{int(status)}\\fR", _text(_sentence(meaning)))
    yield ".SH ENVIRONMENT"
    for setting in SETTINGS:
        if setting.name not in OF_CONTEXT:
            yield from (".TP", f"\\fBDYN_{_text(setting.name.upper().replace('-', '_'))}\\fR", _text(setting.meaning))
    yield from (".TP", "\\fBNO_COLOR\\fR, \\fBFORCE_COLOR\\fR, \\fBPAGER\\fR, \\fBVISUAL\\fR, \\fBEDITOR\\fR")
    yield "As elsewhere."
    yield ".SH FILES"
    for path, what in FILES:
        yield from (".TP", f"\\fI{_text(path)}\\fR", _text(what))
    yield from (
        '.SH "SEE ALSO"',
        "\\fBredis\\-cli\\fR(1), and \\fBdyn help\\fR, \\fBdyn explain\\fR, \\fBdyn cheat\\fR",
    )


def _command(spec: CommandSpec, macro: str) -> Iterator[str]:
    """A section of one command."""
    words = [f"\\fB{_text(spec.name)}\\fR", *(_argument(argument) for argument in spec.arguments)]
    if macro == ".SH":
        yield from (".SH SYNOPSIS", " ".join([*words, "[\\fIOPTION\\fR]..."]), ".SH DESCRIPTION")
    else:
        yield f'{macro} "{" ".join(words)}"'
    yield _text(spec.description)
    if spec.own_options:
        yield from _options(spec.own_options) if macro == ".SS" else (".SH OPTIONS", *_options(spec.own_options))
    if spec.examples:
        yield from (".PP" if macro == ".SS" else ".SH EXAMPLES", ".RS 4" if macro == ".SS" else ".PP")
        for line, what in spec.examples:
            yield from ("# " + _text(what), ".br", f"\\fB{_text(line)}\\fR", ".br")
        yield from ([".RE"] if macro == ".SS" else [])
    if spec.exits:
        known = ", ".join(str(code) for code in sorted({0, 2, *spec.exits}))
        yield from (".PP", f"Exit status: {known}; see dyn help exit\\-codes.")
    if spec.see:
        yield from (".PP", "See also: " + ", ".join(f"dyn {_text(name)}" for name in spec.see) + ".")


def _options(options: tuple[ParameterSpec, ...]) -> Iterator[str]:
    for option in options:
        flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in option.flags)
        value = f" \\fI{_text(option.metavar)}\\fR" if option.metavar else ""
        yield from (".TP", flags + value, _text(option.help))


def _argument(argument: ParameterSpec) -> str:
    return f"\\fI{_text(argument.metavar.rstrip('…'))}\\fR" + "..." * argument.repeats


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _bare(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _quoted(text: str) -> str:
    return text.replace('"', "\\(dq")


def _text(text: str) -> str:
    """Text that roff takes for text: no request, no escape, no hyphen in the place of a minus."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "\\(ga").replace('"', "\\(dq")
    safe = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in safe.replace("'", "\\(aq"))
    return f"\\&{safe}" if safe.startswith(".") else safe
