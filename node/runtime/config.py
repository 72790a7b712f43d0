"""The settings of a node: flag, else `DYN_*` variable, else a line in the configuration file, else the default.

One table, `OPTIONS`, says how each is spelled, read and checked; an error names the source, the key, the value, and
what is allowed. Secrets are files or variables, never flags (a command line can be read by everybody on the machine).
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.core.cluster import Quorums
from node.core.labels import label
from node.core.limits import (
    CANDIDATES_MAX,
    KIB,
    MIB,
    PARTITIONS_MAX,
    REPLICAS_MAX,
    VALUE_BYTES_CEILING,
    VALUE_BYTES_MAX,
    WEIGHT_MAX,
)
from node.runtime.discovery import is_loopback
from node.runtime.sockets import join_address, split_address
from node.words import LEVELS

CONFIG_FILE: Final = "dyn.toml"
PEER_PORT_OFFSET: Final = 100
HTTP_PORT_OFFSET: Final = 200


class StartError(Exception):
    """A node cannot start. `message` is one true sentence without its full stop, `hint` the next thing to type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.message = message
        self.hint = hint


class SettingError(StartError):
    """A setting makes no sense: an error of usage."""


class NodeSettings(NamedTuple):
    """What `dyn node start` was told. `name` is None when nobody gave one: the data directory knows, or it is `nPORT`.
    So is `partitions`: the cluster knows, or it has PARTITIONS.

    `key` and `password` are secrets that came by the environment; in files they are named by `key_file` and
    `password_file`. `origins` says of each that is no default, by its spelling, who set it.
    """

    name: str | None = None
    cluster: str = "dyn"
    listen: str = "127.0.0.1"
    port: int = 7700
    peer_port: int = 7800
    http_port: int = 7900
    data_dir: Path = Path()
    seat: str | None = None
    replace: str = ""
    join: tuple[str, ...] = ()
    discover: str = "mdns"
    zone: str = ""
    weight: int = 1
    nrw: Quorums = Quorums(3, 2, 2)
    partitions: int | None = None
    durability: str = "full"
    max_value_bytes: int = VALUE_BYTES_MAX
    key_file: Path | None = None
    password_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    log_format: str = "text"
    log_level: str = "info"
    allow_faults: bool = False
    key: bytes | None = None
    password: bytes | None = None
    origins: tuple[tuple[str, str], ...] = ()


# How words become values: each raises ValueError with what is allowed ----------------------------------------

_SIZE: Final = re.compile(r"(\d{1,12})([kKmM]i?[bB]?)?")


def _zone(word: str) -> str:
    return label(word) if word else ""


def _address(word: str) -> str:
    if word == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        raise ValueError("an IP address is needed, such as 127.0.0.1, 192.0.2.7 or 0.0.0.0") from None


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(word: str) -> int:
        if not (word.isascii() and word.isdigit() and len(word) <= len(str(high)) and low <= int(word) <= high):
            raise ValueError(f"{low} to {high} is allowed")
        return int(word)

    return parse


def _seed(word: str) -> str:
    try:
        host, port = split_address(word if not word.startswith(":") else f"127.0.0.1{word}")
    except ValueError:
        raise ValueError("HOST:PEERPORT is needed, such as 192.0.2.7:7800") from None
    return join_address(host, port)


def _choice(*words: str) -> Callable[[str], str]:
    def parse(word: str) -> str:
        if word not in words:
            raise ValueError(f"{', '.join(words[:-1])} and {words[-1]} are allowed")
        return word

    return parse


def _quorums(word: str) -> Quorums:
    parts = word.split("/")
    if len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        n, r, w = map(int, parts)
        if 1 <= r <= n <= REPLICAS_MAX and 1 <= w <= n:
            return Quorums(n, r, w)
    raise ValueError(f"N/R/W is needed, such as 3/2/2: R and W from 1 to N, N at most {REPLICAS_MAX}")


def _partitions(word: str) -> int:
    if word.isascii() and word.isdigit() and len(word) <= 6:
        number = int(word)
        if 1 <= number <= PARTITIONS_MAX and number & (number - 1) == 0:
            return number
    raise ValueError(f"a power of two is needed, at most {PARTITIONS_MAX}")


def _value_bytes(word: str) -> int:
    found = _SIZE.fullmatch(word)
    if found:
        unit = (found[2] or "")[:1].lower()
        number = int(found[1]) * {"": 1, "k": KIB, "m": MIB}[unit]
        if KIB <= number <= VALUE_BYTES_CEILING:
            return number
    raise ValueError(f"1K to {VALUE_BYTES_CEILING // MIB}M is allowed")


def _seat(word: str) -> str:
    if len(word) != 32 or word.strip("0123456789abcdef"):
        raise ValueError("the node id of a member is wanted, 32 hex digits: dyn ring show -o json")
    return word


def _switch(word: str) -> bool:
    if word.lower() in ("1", "true", "yes", "on"):
        return True
    if word.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true and false are allowed")


class Option(NamedTuple):
    """How one setting is read. `field` is its name in NodeSettings; `kind` is text, path, list, or switch."""

    field: str
    parse: Callable[[str], Any]
    kind: str = "text"


_port: Final = _number(1, 65535)

OPTIONS: Final = (
    Option("name", label),
    Option("cluster", label),
    Option("listen", _address),
    Option("port", _port),
    Option("peer_port", _port),
    Option("http_port", _port),
    Option("data_dir", str, "path"),
    Option("seat", _seat),
    Option("replace", label),
    Option("join", _seed, "list"),
    Option("discover", _choice("mdns", "none")),
    Option("zone", _zone),
    Option("weight", _number(1, WEIGHT_MAX)),
    Option("nrw", _quorums),
    Option("partitions", _partitions),
    Option("durability", _choice("full", "normal", "memory")),
    Option("max_value_bytes", _value_bytes),
    Option("key_file", str, "path"),
    Option("password_file", str, "path"),
    Option("tls_cert", str, "path"),
    Option("tls_key", str, "path"),
    Option("tls_ca", str, "path"),
    Option("log_format", _choice("text", "json")),
    Option("log_level", _choice(*LEVELS)),
    Option("allow_faults", _switch, "switch"),
)


class Given(NamedTuple):
    """A value as somebody wrote it: `where` names source and key, `folder` is what a relative path starts from."""

    where: str
    value: object
    folder: Path


# Sources -----------------------------------------------------------------------------------------------------


def load_settings(
    *, environ: Mapping[str, str], cwd: Path, config: str | Path | None = None, **flags: object
) -> NodeSettings:
    """Return the settings; SettingError names what is wrong with one, StartError what makes them unsafe.

    `flags` are the flags of `dyn node start` by field name; None, an empty list and False mean "not given".
    """
    unknown = sorted(set(flags) - {option.field for option in OPTIONS})
    assert not unknown, f"no such settings: {unknown}"
    given = _from_file(config, environ, cwd)
    for option in OPTIONS:
        variable = environ.get(f"DYN_{option.field.upper()}")
        if variable:
            given[option.field] = Given(f"environment variable DYN_{option.field.upper()}", variable, cwd)
        flag = flags.get(option.field)
        if flag is not None and flag is not False and flag != () and flag != []:
            given[option.field] = Given(f"--{_spelled(option.field)}", flag, cwd)
    values = {option.field: _value(option, given[option.field]) for option in OPTIONS if option.field in given}
    for secret in ("key", "password"):
        word = environ.get(f"DYN_{secret.upper()}")
        if word:
            values[secret] = word.encode(errors="surrogateescape")
            given[secret] = Given(f"environment variable DYN_{secret.upper()}", "", cwd)
    settings = _completed(NodeSettings(**values), given, environ)
    check_exposure(settings)
    return settings._replace(origins=tuple((_spelled(field), each.where) for field, each in given.items()))


def _from_file(config: str | Path | None, environ: Mapping[str, str], cwd: Path) -> dict[str, Given]:
    """The lines of the configuration file, by field."""
    named = str(config or environ.get("DYN_CONFIG") or "")
    path = cwd / Path(named or CONFIG_FILE).expanduser()
    if not named and not path.exists():
        return {}
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"the configuration file {path} is not TOML: {error}") from None
    spellings = {_spelled(option.field): option.field for option in OPTIONS}
    if not named:
        lines.pop("client", None)  # of dyn's other commands
    for key in lines:
        if key not in spellings:
            raise SettingError(f"{path} sets {key}, which is no setting", f"Known are: {', '.join(spellings)}")
    return {spellings[key]: Given(f"{key} in {path}", value, path.parent) for key, value in lines.items()}


def _value(option: Option, given: Given) -> Any:  # noqa: ANN401  # each option has its own type
    """What one setting means."""
    value = given.value
    if option.kind == "list":
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, Sequence):
            raise _wrong(given, value, "a list of HOST:PEERPORT is needed")
        if len(words) > CANDIDATES_MAX:
            raise _wrong(given, f"{len(words)} addresses", f"{CANDIDATES_MAX} are allowed")
        return tuple(
            dict.fromkeys(_parsed(option, given, word.strip() if isinstance(word, str) else word) for word in words)
        )
    if option.kind == "path":
        if not isinstance(value, str | Path) or not str(value):
            raise _wrong(given, value, "a path is needed")
        return (given.folder / Path(value).expanduser()).absolute()
    if option.kind == "switch" and isinstance(value, bool):
        return value
    return _parsed(option, given, value)


def _parsed(option: Option, given: Given, value: object) -> Any:  # noqa: ANN401  # each option has its own type
    if isinstance(value, bool) or not isinstance(value, str | int | Path):
        raise _wrong(given, value, "a text or a whole number is needed")
    try:
        return option.parse(str(value))
    except ValueError as error:
        raise _wrong(given, value, str(error)) from None


def _wrong(given: Given, value: object, allowed: str) -> SettingError:
    return SettingError(f"{given.where} is {str(value)!r}: {allowed}")


def _spelled(field: str) -> str:
    return field.replace("_", "-")


def _completed(settings: NodeSettings, given: Mapping[str, Given], environ: Mapping[str, str]) -> NodeSettings:
    """Put in the defaults that depend on other settings."""
    if settings.seat is not None and settings.replace:
        raise SettingError("--seat takes a member's seat under its id, --replace its place under a new id: name one")
    port = settings.port
    ports = {"port": port}
    for field, offset in (("peer_port", PEER_PORT_OFFSET), ("http_port", HTTP_PORT_OFFSET)):
        ports[field] = getattr(settings, field) if field in given else port + offset
        if ports[field] > 65535:
            raise SettingError(
                f"port {port} leaves no room for the default --{_spelled(field)} {ports[field]}: name one"
            )
    for field, other in (("peer_port", "port"), ("http_port", "port"), ("http_port", "peer_port")):
        if ports[field] == ports[other]:
            raise SettingError(f"--{_spelled(field)} and --{_spelled(other)} are both {ports[field]}: they must differ")
    tls = ("tls_cert", "tls_key", "tls_ca")
    missing = [f"--{_spelled(field)}" for field in tls if field not in given]
    if 0 < len(missing) < len(tls):
        raise SettingError(
            f"TLS takes a certificate, its key and the CA; not given: {', '.join(missing)}",
            f"Name all three, or none: {' '.join(f'--{_spelled(field)} FILE' for field in tls)}",
        )
    data_dir = settings.data_dir
    if "data_dir" not in given:
        data_dir = data_home(environ) / "dyn" / settings.cluster / (settings.name or f"n{port}")
    return settings._replace(data_dir=data_dir, peer_port=ports["peer_port"], http_port=ports["http_port"])


def data_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME`, by default ~/.local/share."""
    home = environ.get("XDG_DATA_HOME", "")
    return Path(home) if home.startswith("/") else Path(environ.get("HOME") or Path.home(), ".local", "share")


def check_exposure(settings: NodeSettings) -> None:
    """Raise StartError if others could reach this node without proving anything (design, section 9)."""
    if is_loopback(settings.listen):
        return
    if settings.allow_faults:
        raise StartError(
            f"--allow-faults lets any client cut, stop and spoil this node, and {settings.listen} can be reached from "
            "other machines: leave it out, or listen on 127.0.0.1"
        )
    missing, commands, flags = [], [], []
    if settings.key_file is None and settings.key is None:
        missing.append("a cluster key")
        commands.append("(umask 077; openssl rand -hex 32 > cluster.key)")
        flags.append("--key-file cluster.key")
    if settings.password_file is None and settings.password is None:
        missing.append("a client password")
        commands.append("(umask 077; openssl rand -hex 16 > password)")
        flags.append("--password-file password")
    if missing:
        raise StartError(
            f"{settings.listen} can be reached from other machines, and this node has not {' and '.join(missing)}",
            f"Make {'them' if missing[1:] else 'it'}: {' && '.join(commands)}; then start with {' '.join(flags)}",
        )
