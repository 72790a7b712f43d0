"""Who has a port that we want: told by the kernel's tables (Linux), and by the process itself if it is a dyn node."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.runtime.config import NodeSettings, StartError
from node.runtime.discovery import is_anywhere
from node.runtime.sockets import join_address

ASK_S: Final = 0.5
"""How long whoever has the port may take to say who it is."""

LISTENING: Final = "0A"
"""The state TCP_LISTEN in /proc/net/tcp."""


def check_ports(settings: NodeSettings) -> None:
    """Raise StartError if one of the node's ports cannot be listened on. (Another process may still be quicker.)"""
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    for port in (settings.port, settings.peer_port, settings.http_port):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.listen, port))
                probe.listen(1)
            except OSError as error:
                raise explain(error, settings, port) from None


def explain(error: OSError, settings: NodeSettings, port: int) -> StartError:
    """Why this node cannot listen on `port`, in one sentence."""
    if error.errno == errno.EADDRINUSE:
        return _taken(settings, port)
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"{settings.listen} is no address of this machine", "See: ip address")
    if error.errno == errno.EACCES:
        return StartError(f"port {port} may be listened on by root only", "Use a port from 1024 on")
    return StartError(f"cannot listen on {join_address(settings.listen, port)}: {error.strerror or error}")


def _taken(settings: NodeSettings, port: int) -> StartError:
    field = {settings.port: "port", settings.peer_port: "peer-port", settings.http_port: "http-port"}[port]
    hint = f"Start with another --{field}"
    host = "127.0.0.1" if is_anywhere(settings.listen) else settings.listen
    who = []
    pid = holder(port)
    node = ask(host, port) if field == "port" else {}
    if pid is not None:
        who.append(f"pid {pid}")
    if node:
        who.append(f"dyn node {node['node']}, cluster {node.get('cluster', '?')}")
        peer_port = node.get("peer_port", "")
        if node.get("cluster") == settings.cluster and peer_port.isdigit():
            hint = f"Start with --port {port + 1}, or if that is the node you want, it runs already"
    elif pid is not None:
        who.append(command_of(pid))
    if not who:
        who.append("another process, which this user may not see")
    holder_text = f"{who[0]} ({who[1]})" if len(who) == 2 and pid is not None else ", ".join(who)
    return StartError(f"port {port} is used by {holder_text}", hint)


def holder(port: int) -> int | None:
    """The process that listens on a TCP port, if the kernel tells us."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{words[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or of another user
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(descriptor) in inodes:
                        return int(process.name)
    return None


def command_of(pid: int) -> str:
    """What a process was started as, in short."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return "?"


def ask(host: str, port: int) -> dict[str, str]:
    """What a dyn node at this client port says of itself: {} if it is none, or says nothing without a password."""
    answer = b""
    with suppress(OSError), socket.create_connection((host, port), ASK_S) as connection:
        connection.settimeout(ASK_S)
        connection.sendall(b"*2\r\n$4\r\nINFO\r\n$3\r\ndyn\r\n")
        while len(answer) < 4096 and not (b"\npeer_port:" in answer and answer.endswith(b"\n")):
            data = connection.recv(4096)
            if not data:
                break
            answer += data
    lines = [line.partition(":") for line in answer.decode(errors="replace").splitlines()]
    found = {name: value for name, colon, value in lines if colon}
    return found if "node" in found and "peer_port" in found else {}
