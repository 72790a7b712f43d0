"""Commands about the connection and the server: PING, HELLO, AUTH, CLIENT, CONFIG GET, INFO and their like.

Each takes the session and the words of the command, and returns the reply at once; `LATER` if the session itself will
answer (a wrong password is answered after a while).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.core.limits import AUTH_ATTEMPTS_MAX, WRITER_BYTES_MAX
from node.core.limits_backup import BACKUP_PATH_BYTES_MAX
from node.runtime import watched
from node.runtime.auth import USER, delay_s, is_loopback
from node.wire import catalog, faults
from node.wire.commands import Entry, wrong_arity
from node.wire.glob import matcher
from node.wire.replies import OK, ErrorReply, Status, Value, Verbatim
from node.wire.resp import OPEN, PREAUTH
from node.wire.table import TABLE

if TYPE_CHECKING:
    from node.runtime.session import Session

Words = list[bytes]
Answer = Callable[["Session", Words], Value]

LATER: Final = Status("")
"""No reply yet."""

REDIS_VERSION: Final = "7.0.0"
"""Whose commands of the same name ours behave as: tools look for it in INFO."""

PONG: Final = Status("PONG")


def answer(session: Session, entry: Entry, words: Words) -> Value:
    """Reply to a command that has no parser of its own."""
    if not entry.least <= len(words) <= entry.most:
        return wrong_arity(entry)
    return _ANSWERS[entry.command.name](session, words)


def _ping(session: Session, words: Words) -> Value:
    return words[1] if len(words) == 2 else PONG


def _echo(session: Session, words: Words) -> Value:
    return words[1]


def _quit(session: Session, words: Words) -> Value:
    session.close()
    return OK


def _reset(session: Session, words: Words) -> Value:
    session.name = ""
    session.resp3 = False
    session.in_multi = False
    if session.listener.password is not None:
        session.authenticated = False
        session.reader.limits = PREAUTH
        session.start_deadline(session.listener.preauth_s)
    return Status("RESET")


def _select(session: Session, words: Words) -> Value:
    if words[1] == b"0":
        return OK
    return ErrorReply("ERR", "DB index is out of range: there is one database, 0")


def _auth(session: Session, words: Words) -> Value:
    if session.listener.password is None:
        return ErrorReply("ERR", "AUTH called without any password configured: this node was started without one")
    user, secret = (USER, words[1]) if len(words) == 2 else (words[1], words[2])
    return OK if admit(session, user, secret) else LATER


def admit(session: Session, user: bytes, secret: bytes) -> bool:
    """Try a password. True: authenticated. False: the refusal comes later, and further commands wait for it."""
    password = session.listener.password
    if password is None or password.matches(user, secret):
        session.authenticated = True
        session.reader.limits = OPEN
        session.stop_deadline()
        return True
    session.attempts += 1
    session.waits = True
    session.listener.refused_passwords += 1
    session.listener.loop.call_later(delay_s(session.attempts), _refuse_password, session)
    return False


def _refuse_password(session: Session) -> None:
    session.waits = False
    session.reply(ErrorReply("WRONGPASS", "invalid username-password pair or user is disabled."))
    if session.attempts >= AUTH_ATTEMPTS_MAX:
        session.close()
    else:
        session.pump()


def _hello(session: Session, words: Words) -> Value:
    version, user, secret, name = None, b"", None, None
    rest = iter(words[1:])
    first = next(rest, None)
    if first is not None:
        if first not in (b"2", b"3"):
            return ErrorReply("NOPROTO", "unsupported protocol version")
        version = int(first)
    for word in rest:
        option = word.upper()
        values = [value for _, value in zip(range(2 if option == b"AUTH" else 1), rest, strict=False)]
        if option == b"AUTH" and len(values) == 2:
            user, secret = values
        elif option == b"SETNAME" and len(values) == 1:
            name = values[0]
            if not is_name(name):
                return _BAD_NAME
        else:
            return ErrorReply("ERR", f"Syntax error in HELLO option '{word[:32].decode(errors='replace')}'")
    if secret is not None and session.listener.password is not None:
        if not admit(session, user, secret):
            return LATER
    elif not session.authenticated:
        return ErrorReply("NOAUTH", "HELLO must be called with the client already authenticated, or with AUTH")
    if version is not None:
        session.resp3 = version == 3
    if name is not None:
        session.name = name.decode()
    return {
        "server": "dyn",
        "version": session.listener.facts.version,
        "proto": 3 if session.resp3 else 2,
        "id": session.id,
        "mode": "standalone",
        "role": "master",
        "modules": [],
    }


_BAD_NAME: Final = ErrorReply(
    "ERR", f"Client names cannot contain spaces, newlines or special characters, nor exceed {WRITER_BYTES_MAX} bytes"
)


def is_name(name: bytes) -> bool:
    """Whether a connection may be called so: printable ASCII without spaces, as in Redis."""
    return len(name) <= WRITER_BYTES_MAX and all(0x21 <= char <= 0x7E for char in name)


# CLIENT ----------------------------------------------------------------------------------------------------


def _client(session: Session, words: Words) -> Value:
    subcommand = words[1].upper()
    found = _CLIENT.get((subcommand, len(words)))
    if found is not None:
        return found(session, words)
    known = subcommand in {name for name, _ in _CLIENT}
    shown = words[1][:32].decode(errors="replace")
    if known:
        return ErrorReply("ERR", f"wrong number of arguments for 'client|{shown.lower()}' command")
    return ErrorReply("NOTSUPPORTED", f"CLIENT {shown}: there are {', '.join(_SUBCOMMANDS)}")


def _client_id(session: Session, words: Words) -> Value:
    return session.id


def _get_name(session: Session, words: Words) -> Value:
    return session.name or None


def _set_name(session: Session, words: Words) -> Value:
    if not is_name(words[2]):
        return _BAD_NAME
    session.name = words[2].decode()
    return OK


def _set_info(session: Session, words: Words) -> Value:
    attribute = words[2].upper()
    if attribute not in (b"LIB-NAME", b"LIB-VER"):
        return ErrorReply("ERR", "Unrecognized option: LIB-NAME and LIB-VER are known")
    if not is_name(words[3]):
        return ErrorReply("ERR", "lib-name and lib-ver cannot contain spaces, newlines or special characters")
    session.library[attribute.decode().lower()] = words[3].decode()
    return OK


def describe(session: Session) -> str:
    """A line of CLIENT LIST."""
    now = session.listener.loop.time()
    fields = {
        "id": session.id,
        "addr": session.address,
        "name": session.name,
        "age": int(now - session.opened_at),
        "db": 0,
        "resp": 3 if session.resp3 else 2,
        "cmd": session.last_command.lower() or "NULL",
        "tot-cmds": session.commands,
        "pending": len(session.slots),
        "qbuf": session.reader.held_bytes,
        "omem": session.transport.get_write_buffer_size() if session.transport is not None else 0,
        "user": USER.decode() if session.authenticated else "(unauthenticated)",
        **session.library,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _client_list(session: Session, words: Words) -> Value:
    lines = [describe(other) + "\n" for other in session.listener.sessions.values()]
    return Verbatim("".join(lines))


_CLIENT: Final[dict[tuple[bytes, int], Answer]] = {
    (b"ID", 2): _client_id,
    (b"GETNAME", 2): _get_name,
    (b"SETNAME", 3): _set_name,
    (b"SETINFO", 4): _set_info,
    (b"INFO", 2): lambda session, words: Verbatim(describe(session) + "\n"),
    (b"LIST", 2): _client_list,
}
_SUBCOMMANDS: Final = [name.decode() for name, _ in _CLIENT]


# COMMAND, CONFIG, INFO -------------------------------------------------------------------------------------


def _command(session: Session, words: Words) -> Value:
    subcommand = words[1].upper() if len(words) > 1 else b""
    match subcommand:
        case b"":
            return catalog.all_infos()
        case b"COUNT":
            return len(TABLE)
        case b"DOCS":
            return catalog.docs(words[2:])
        case b"INFO":
            return [catalog.info_of(name) for name in words[2:]] if words[2:] else catalog.all_infos()
        case b"LIST":
            return [command.name.lower() for command in TABLE]
        case b"GETKEYS" if len(words) > 2:
            keys: Value = catalog.keys_of(words[2:])
            return keys or ErrorReply("ERR", "The command has no key arguments")
    return ErrorReply("ERR", "unknown subcommand or wrong number of arguments; try COMMAND, COUNT, DOCS, INFO, LIST")


def _config(session: Session, words: Words) -> Value:
    if words[1].upper() != b"GET":
        return ErrorReply(
            "NOTSUPPORTED", f"CONFIG {words[1][:32].decode(errors='replace').upper()}: settings are given at start"
        )
    wanted = [matcher(pattern.lower()) for pattern in words[2:]]
    settings = session.listener.settings()
    return {name: value for name, value in settings.items() if any(matches(name.encode()) for matches in wanted)}


def _info(session: Session, words: Words) -> Value:
    wanted = [word.lower().decode(errors="replace") for word in words[1:]]
    everything = not wanted or any(name in ("all", "everything", "default") for name in wanted)
    sections: Mapping[str, Mapping[str, object]] = session.listener.info()
    return Verbatim(
        "\r\n".join(
            "".join([f"# {name.capitalize()}\r\n", *(f"{field}:{value}\r\n" for field, value in fields.items())])
            for name, fields in sections.items()
            if everything or name in wanted
        )
    )


def _dbsize(session: Session, words: Words) -> Value:
    return session.listener.facts.keys()


def _time(session: Session, words: Words) -> Value:
    microseconds = int(session.listener.facts.wall_s() * 1e6)
    return [str(microseconds // 1_000_000), str(microseconds % 1_000_000)]


def _help(session: Session, words: Words) -> Value:
    return catalog.help_lines(words[1:])


def _fault(session: Session, words: Words) -> Value:
    obey = session.listener.faults
    if obey is None:
        return ErrorReply("ERR", "this node takes no faults: start it with dyn node start --allow-faults")
    if not is_loopback(session.address.rpartition(":")[0].strip("[]")):
        return ErrorReply("DENIED", "DYN.FAULT is taken from this machine's own clients only")
    order = faults.parse(words)
    return order if isinstance(order, ErrorReply) else obey(order)


def _backup(session: Session, words: Words) -> Value:
    """Answered later, by whoever makes the copy; further commands of this connection wait for that."""
    if not is_loopback(session.address.rpartition(":")[0].strip("[]")):
        return ErrorReply("DENIED", "DYN.BACKUP writes a file on this machine, and is taken from its own clients only")
    path = words[1]
    if not path or b"\0" in path or len(path) > BACKUP_PATH_BYTES_MAX:
        return ErrorReply("ERR", f"a path has 1 to {BACKUP_PATH_BYTES_MAX} bytes, none of them NUL")

    def answer(reply: Value) -> None:
        session.waits = False
        session.reply(reply)
        session.pump()

    session.waits = True
    session.listener.facts.back_up(Path(os.fsdecode(path)), answer)
    return LATER


_ANSWERS: Final[dict[str, Answer]] = {
    "PING": _ping,
    "ECHO": _echo,
    "QUIT": _quit,
    "RESET": _reset,
    "SELECT": _select,
    "AUTH": _auth,
    "HELLO": _hello,
    "CLIENT": _client,
    "COMMAND": _command,
    "CONFIG": _config,
    "INFO": _info,
    "DBSIZE": _dbsize,
    "TIME": _time,
    "HELP": _help,
    "DYN.BACKUP": _backup,
    "DYN.FAULT": _fault,
    "DYN.HOT": watched.hot,
    "DYN.MONITOR": watched.monitor,
}
