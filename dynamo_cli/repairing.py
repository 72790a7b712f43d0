"""`dyn cluster repair`: whose passes are asked for, and waiting for their ends.

Partitions are compared by each of their owners in turn: one alone brings home what the others have, and the last of
them gets what only came then.
"""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from dynamo_cli import store
from dynamo_cli.asking import SILENT, addresses_of
from dynamo_cli.call import Call, Document
from dynamo_cli.client import Client, Word
from dynamo_cli.errors import CliError, listed, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.progress import remarks

ANSWER_S = 3.0
"""A node tells after 2 s how far it is: who wants to hear it waits longer."""


class Wanted(NamedTuple):
    """A pass to be asked for: of which node, where it listens, and by which words."""

    node: str
    address: str
    words: tuple[Word, ...]


def repair(call: Call, what: list[str], *, wait: bool) -> Document:
    """Ask for the passes, one after the other, and (`wait`) stay until each is over.

    Returns dyn.repair/v1 of a single node that was named, or of the one asked; else dyn.repairs/v1, in which nodes that
    do not answer are told in `silent`. Raises CliError.
    """
    if not what:
        return _pass_at(call, Wanted("", _asked(call), ("REPAIR",)), wait=wait)
    wanted = _wanted(call, what)
    if len(wanted) == 1 and wanted[0].words == ("REPAIR",):
        return _pass_at(call, wanted[0], wait=wait)
    passes: list[Document] = []
    silent: list[Document] = []
    for each in wanted:
        try:
            passes.append(_pass_at(call, each, wait=wait))
        except CliError as error:
            if error.status not in SILENT:
                raise
            silent.append({"node": each.node, "because": error.message})
    return {"schema": "dyn.repairs/v1", "passes": passes, "silent": silent}


def cancel(call: Call, names: list[str]) -> list[Document]:
    """Have these nodes give up the passes that were asked for; the one asked, if none is named."""
    if not names:
        with closing(call.env.client_apart((_asked(call),), call.options.timeout_s)) as client:
            return [store.document(client, "BACKGROUND", "CANCEL")]
    wanted = _wanted(call, names)
    if any(each.words != ("REPAIR",) for each in wanted):
        raise usage("a pass is given up as a whole", "Name its node: dyn cluster repair NODE --cancel")
    told = []
    for each in wanted:
        with closing(call.env.client_apart((each.address,), call.options.timeout_s)) as client:
            told.append(store.document(client, "BACKGROUND", "CANCEL"))
    return told


def _asked(call: Call) -> str:
    """The address of the node that answers. What is done by one is not asked of the next when that takes long."""
    call.client.read("CLIENT", "ID")  # whoever answers
    return str(call.client.address)


def _pass_at(call: Call, wanted: Wanted, *, wait: bool) -> Document:
    """The pass of a node that may be another one than that of the line."""
    with closing(call.env.client_apart((wanted.address,), max(ANSWER_S, call.options.timeout_s))) as client:
        return _pass(call, client, wanted.words, wait=wait)


def _pass(call: Call, client: Client, words: tuple[Word, ...], *, wait: bool) -> Document:
    name, *rest = words
    document = store.document(client, str(name), *rest)
    with remarks(call, "comparing") as remark:
        try:
            while wait and document["running"]:
                told = f"{document['compared']} of {document['total']} compared, {document['repaired']} keys repaired"
                remark(f"{document['node']}: {told}")
                document = store.document(client, str(name), *rest)
        except KeyboardInterrupt:
            call.remark(f"it goes on; to end it: dyn cluster repair {document['node']} --cancel")
            raise
    return document


def _wanted(call: Call, what: list[str]) -> list[Wanted]:
    """Names of nodes, or numbers of partitions: the passes that are meant. Raises CliError for what is neither."""
    ring = store.document(call.client, "RING")
    addresses, partitions = addresses_of(ring), ring["partitions"]
    named = [word for word in dict.fromkeys(what) if word in addresses]
    numbers = [word for word in dict.fromkeys(what) if word not in addresses]
    for word in numbers:
        if not (word.isascii() and word.isdigit() and len(word) <= len(str(partitions)) and int(word) < partitions):
            hint = f"There are {listed(sorted(addresses))}, and partitions 0 to {partitions - 1}"
            raise CliError(ExitStatus.NOT_FOUND, f"{word!r} is no node of the ring and no partition", hint)
    if named and numbers:
        raise usage("nodes and partitions are two requests", "Name either")
    if named:
        return [Wanted(node, addresses[node], ("REPAIR",)) for node in named]
    owned: dict[str, list[int]] = {}
    for number in map(int, numbers):
        for node in ring["preference"][number][: ring["n"]]:
            owned.setdefault(node, []).append(number)
    return [
        Wanted(node, addresses[node], ("BACKGROUND", "REPAIR", *found))
        for node, found in owned.items()
        if node in addresses
    ]
