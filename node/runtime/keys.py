"""Secrets in files: the cluster key, the client password, the key of TLS. Owner-only, or the node does not start.

On loopback nobody should have to make a key first: the user's own configuration directory holds one, made by whichever
node comes first. It appears whole or not at all (written under another name, then linked to its own, which fails if it
is taken), so that nodes started in the same second read the same key.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from node.core.limits import SECRET_BYTES_MIN, SECRET_FILE_BYTES_MAX
from node.runtime.auth import Password
from node.runtime.config import NodeSettings, StartError

KEY_FILE: Final = "cluster.key"

CLUSTER_KEYS_MAX: Final = 2
"""In a key file: the one that is used, and while it is exchanged the one before it, or after it."""
TLS_KEY_BYTES_MAX: Final = 32 * 1024
"""A private key as PEM: of RSA with 16,384 bits some 12 KiB, of any curve less than 1 KiB."""


class SecretFileError(Exception):
    """A key or password file cannot be used. One sentence: which file, why, and what to type."""


class Secrets(NamedTuple):
    """What a node must know to be let in, and whoever would be let in by it. `keys`: see `read_cluster_keys`."""

    keys: tuple[bytes, ...]
    password: Password | None


def read_secrets(settings: NodeSettings, environ: Mapping[str, str]) -> Secrets:
    """The cluster keys and, if there is one, the client password. On loopback a key is made when it is first needed.

    Raises StartError.
    """
    try:
        if settings.key_file is not None:
            keys = read_cluster_keys(settings.key_file)
        elif settings.key is not None:
            keys = (settings.key,)
        else:
            keys = obtain_cluster_keys(default_key_file(environ))
        password = settings.password
        if settings.password_file is not None:
            password = read_password(settings.password_file)
    except SecretFileError as error:
        raise StartError(str(error)) from None
    return Secrets(keys, Password(password) if password else None)


def default_key_file(environ: Mapping[str, str]) -> Path:
    """Where the key of this user's loopback clusters is: dyn/cluster.key in $XDG_CONFIG_HOME, by default ~/.config."""
    home = environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME") or Path.home(), ".config")
    return base / "dyn" / KEY_FILE


def read_cluster_keys(path: Path) -> tuple[bytes, ...]:
    """Return the cluster keys in `path`, one a line; SecretFileError if they cannot be used.

    With the first one a node dials; whoever dials it may have either. So a key is exchanged while the cluster runs.
    """
    lines = _read(path, "cluster key").splitlines()
    keys = tuple([line.strip() for line in lines if line.strip()]) or (b"",)
    if len(keys) > CLUSTER_KEYS_MAX:
        raise SecretFileError(
            f"cluster key file {path} holds {len(keys)} lines: the key, and at most one more that is taken, too"
        )
    short = min(len(key) for key in keys)
    if short < SECRET_BYTES_MIN:
        raise SecretFileError(
            f"cluster key file {path} holds a key of {short} bytes, at least {SECRET_BYTES_MIN} are needed: "
            f"openssl rand -hex 32 > {path}"
        )
    return keys


def read_password(path: Path) -> bytes:
    """Return the client password in `path`, without the newline; SecretFileError if it cannot be used."""
    password = _read(path, "password")
    if not password:
        raise SecretFileError(f"password file {path} is empty: write the password into it")
    return password


def obtain_cluster_keys(path: Path) -> tuple[bytes, ...]:
    """Return the cluster keys in `path`; if there is no such file, make it first (0600, in a directory of 0700)."""
    if not path.exists():
        try:
            _create(path, f"{token_hex(32)}\n".encode())
        except OSError as error:
            raise SecretFileError(
                f"cannot make the cluster key {path}: {error.strerror}; name one with --key-file"
            ) from error
    return read_cluster_keys(path)


def read_tls_key(path: Path) -> bytes:
    """Return the private key in `path`, as PEM; SecretFileError if it cannot be used."""
    return _read(path, "TLS key", bytes_max=TLS_KEY_BYTES_MAX)


def _read(path: Path, what: str, *, bytes_max: int = SECRET_FILE_BYTES_MAX) -> bytes:
    """The content of an owner-only file, without surrounding white space."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang the start
    except OSError as error:
        raise SecretFileError(f"cannot read {what} file {path}: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SecretFileError(f"{what} file {path} is not a file")
        if status.st_uid not in (os.geteuid(), 0):
            raise SecretFileError(f"{what} file {path} belongs to somebody else: chown {os.geteuid()} {path}")
        if status.st_mode & 0o077:
            raise SecretFileError(f"{what} file {path} can be read by others: chmod 600 {path}")
        data = os.read(fd, bytes_max + 1)
    finally:
        os.close(fd)
    if len(data) > bytes_max:
        raise SecretFileError(f"{what} file {path} is over {bytes_max} bytes: not a {what}")
    return data.strip()


def _create(path: Path, content: bytes) -> None:
    """Make `path` with `content` unless somebody was quicker. Whoever sees the name sees all of the content."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
