"""The settings of `dyn` itself, in one table: what each means, what it may be, and what it is by default.

Where a value comes from is `layers`; a node's settings are others (`dyn node start`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo_cli.arguments import seconds
from dynamo_cli.client import PORT, parse_address
from dynamo_cli.errors import CliError, usage
from dynamo_cli.layers import EVERYWHERE, LOCAL, OF_CONTEXT, Found, Layers, as_text, variable
from dynamo_cli.options import COLORS, FORMATS, TIMEOUT_S

DEFAULT_NODE = f"127.0.0.1:{PORT}"
PROMPT_COLORS = ("red", "green", "yellow", "blue", "magenta", "cyan")
NOTE_MAX = 200
LINE = "the command line"
"""As an origin: a value that is about to be saved."""
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class Setting(NamedTuple):
    """One setting: its name in files, its default ("": nothing), how its text becomes its value, and what it means.

    `read` raises ValueError with what is allowed. `flag` is how it is said on the line, if it can be.
    """

    name: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    flag: str = ""

    @property
    def places(self) -> str:
        """Where it can be set beside the line, in words."""
        if self.name in OF_CONTEXT:
            return "context"
        places = [variable(self.name)]
        places += ["./dyn.toml"] * (self.name in LOCAL)
        places += ["context"] * (self.name in EVERYWHERE)
        return ", ".join([*places, "config.toml"])


def _nodes(text: str) -> tuple[str, ...]:
    found = tuple(text.replace(",", " ").split())
    for word in found:
        try:
            parse_address(word)
        except CliError as error:
            raise ValueError(f"{error.message}; write HOST:PORT") from None
    return found or (DEFAULT_NODE,)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"none of {', '.join(words)}")
        return text

    return read


def switch(text: str) -> bool:
    """A switch: on or off, yes or no, 1 or 0. Raises ValueError."""
    if text.lower() not in (*YES, *NO):
        raise ValueError(f"none of {', '.join(filter(None, (*YES, *NO)))}")
    return text.lower() in YES


def _line(text: str) -> str:
    if not text.isprintable() or len(text) > NOTE_MAX:
        raise ValueError(f"not a line of at most {NOTE_MAX} characters")
    return text


SETTINGS = (
    Setting("context", "", _line, "The saved context in force.", "-c"),
    Setting("nodes", DEFAULT_NODE, _nodes, "Nodes to ask, in order: HOST:PORT.", "-n"),
    Setting("password-file", "", str, "File that holds the client password."),
    Setting("tls-ca", "", str, "Speak TLS; the CA that signs nodes.", "--tls-ca"),
    Setting("tls-cert", "", str, "Certificate to show.", "--tls-cert"),
    Setting("tls-key", "", str, "Key of that certificate.", "--tls-key"),
    Setting("output", "", _one_of(*FORMATS), "Output format; else table on a terminal, plain elsewhere.", "-o"),
    Setting("timeout", f"{TIMEOUT_S:g}", seconds, "Deadline in seconds.", "--timeout"),
    Setting("color", "auto", _one_of(*COLORS), "Colour.", "--color"),
    Setting("ascii", "off", switch, "Draw with ASCII alone.", "--ascii"),
    Setting("no-input", "off", switch, "Ask nothing; refuse what would need an answer.", "--no-input"),
    Setting("pager", "less", _line, "Program for what is taller than the screen; off for none.", "--no-pager"),
    Setting("writer", "", _line, "Label on our writes; else user@host."),
    Setting("protected", "off", switch, "What is dangerous needs the context's name, typed or by --confirm."),
    Setting("prompt-color", "", _one_of(*PROMPT_COLORS), "Colour of the shell's prompt."),
    Setting("note", "", _line, "What this context is."),
)
"""Every setting, in the order in which they are shown."""

BY_NAME = {setting.name: setting for setting in SETTINGS}


def named(name: str) -> Setting:
    """The setting of this name; raises a usage error that lists them."""
    setting = BY_NAME.get(name)
    if setting is None:
        raise usage(f"no setting {name!r}", f"There are {', '.join(BY_NAME)}")
    return setting


def value(layers: Layers, name: str) -> Any:  # noqa: ANN401  # each setting has its own type
    """What a setting is, read and checked; None if nobody sets it. Raises a usage error that says who did wrong."""
    found = layers.find(name)
    return None if found is None else checked(name, found)


def checked(name: str, found: Found) -> Any:  # noqa: ANN401  # each setting has its own type
    """The value of what was found; raises a usage error that says where it stands."""
    text = as_text(found.value)
    try:
        if isinstance(found.value, dict) or (isinstance(found.value, list) and name != "nodes"):
            raise ValueError("not one value")
        return named(name).read(text)
    except ValueError as error:
        if found.origin == LINE:
            raise usage(f"{name} cannot be {text!r}: {error}", "See: dyn config show") from None
        if found.origin == variable(name):
            raise usage(f"{found.origin} is {text!r}: {error}", f"Set or unset {found.origin}") from None
        hint = f"Set it anew: {set_again(name, found)}"
        raise usage(f"{name} in {found.origin} is {text!r}: {error}", hint) from None


def set_again(name: str, found: Found) -> str:
    """The command that sets a setting where it was found."""
    if found.origin.startswith("context "):
        return f"dyn config set {name} VALUE --in {found.origin.removeprefix('context ')}"
    return f"dyn config set {name} VALUE"


def belongs(name: str, *, context: bool) -> None:
    """Raise a usage error unless a context, or config.toml, may have this setting."""
    if context and name == "context":
        raise usage("a context cannot name another one", "Choose it: dyn context use NAME")
    if not context and name in OF_CONTEXT:
        raise usage(f"{name} is of a context alone", f"Name it: dyn config set {name} VALUE --in NAME")
