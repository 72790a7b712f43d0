"""Which node a session asks, and what it knows of keys: `\\node`, `\\use`, `\\ctx`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.asking import members
from dynamo_cli.call import Call
from dynamo_cli.client import parse_address
from dynamo_cli.errors import CliError, no_node
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import clock_text, quoted, shortened, show
from dynamo_cli.repl.verbs import verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session

SHOWN_MAX = 20
"""Contexts that `\\ctx` lists: the latest."""
KEY_COLUMNS = 30
VIA = "via="


@verb("node", usage="[NODE]", summary="Ask through this node alone (n3, HOST:PORT); - is as at the start.",
      completes="names")  # fmt: skip
def node(shell: Session, words: Sequence[str]) -> int:
    """By its name in the ring, or by its address; without a word: which one it is."""
    env = shell.env
    if words:
        if words[0] == "-":
            env.ask_through(())
        elif ":" in words[0]:
            env.ask_through((str(parse_address(words[0])),))
        else:
            env.ask_through((_address(shell, words[0]),))
        shell.moved()
    env.write(f"asking {', '.join(map(show, env.asked()))}\n")
    return ExitStatus.OK


def through(shell: Session, words: Sequence[str]) -> list[str]:
    """The words of a line, with `via=n3` replaced by the option that asks through that node. Raises CliError."""
    made: list[str] = []
    for at, word in enumerate(words):
        if word == "--":
            return [*made, *words[at:]]
        name = word.removeprefix(VIA) if at and word.startswith(VIA) else ""
        made += ["-n", name if ":" in name else _address(shell, name)] if name else [word]
    return made


def _address(shell: Session, name: str) -> str:
    call = Call(shell.env)
    try:
        known = members(call.client)
    finally:
        call.close()
    if name not in known:
        raise no_node(name, sorted(known), " in the ring")
    return known[name]


@verb("use", usage="CONTEXT", summary="Speak to a saved context from now on, in this shell alone; none is none.",
      completes="contexts")  # fmt: skip
def use(shell: Session, words: Sequence[str]) -> int:
    """What was read of the cluster before is forgotten: its contexts are worth nothing to another."""
    shell.env.use(words[0])
    shell.moved()
    shell.env.write(f"asking {', '.join(map(show, shell.env.asked()))}\n")
    return ExitStatus.OK


@verb("ctx", usage="[KEY]", summary="The contexts that were read, which the next writes use; or that of one key.",
      completes="keys")  # fmt: skip
def contexts(shell: Session, words: Sequence[str]) -> int:
    """A table, the latest first; or the token, for another program."""
    memory, env = shell.env.contexts, shell.env
    if words:
        key = words[0].encode("utf-8", "surrogateescape")
        known = memory.recall(key)
        if known is None:
            raise CliError(
                ExitStatus.NOT_FOUND, f"{quoted(key)} was not read in this shell", f"Read it: get {words[0]}"
            )
        env.write(known[0].context.decode("ascii", "replace") + "\n")
        return ExitStatus.OK
    keys = memory.keys()
    if not keys:
        env.write("nothing was read yet: a put reads first, and replaces what it finds\n")
    for key in reversed(keys[-SHOWN_MAX:]):
        known = memory.recall(key)
        assert known is not None, "it is listed"
        reading, read_at_s = known
        age = f"read {env.now_s() - read_at_s:.0f} s ago"
        env.write(f"  {shortened(show(key), KEY_COLUMNS):<{KEY_COLUMNS}}  {age:<18}{_seen(reading)}\n")
    if len(keys) > SHOWN_MAX:
        env.write(f"  and {len(keys) - SHOWN_MAX} more\n")
    return ExitStatus.OK


def _seen(reading: store.Reading) -> str:
    """What a write in this context replaces."""
    if not reading.live:
        return "nothing there"
    clocks = [clock_text(version.clock) for version in reading.live if version.clock]
    count = f"{len(reading.live)} siblings" if len(reading.live) > 1 else ""
    return shortened("  ".join(filter(None, [count, *clocks])) or "one value", 200)
