"""One member of the ring by its name, asked on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from dynamo_cli.call import Call
from dynamo_cli.client import Client
from dynamo_cli.errors import no_node


def client_of(call: Call, node: str) -> Client:
    """Who asks that very node, and no other in its place. The caller closes it. Raises CliError."""
    from dynamo_cli.asking import members  # what most reads do not need is not loaded for them

    addresses = members(call.client)
    if node not in addresses:
        raise no_node(node, sorted(addresses), " in the ring")
    return call.env.client_apart((addresses[node],), call.options.timeout_s)


@contextmanager
def alone(call: Call, node: str | None) -> Iterator[Client | None]:
    """The same within a block; None without a name."""
    if node is None:
        yield None
        return
    with closing(client_of(call, node)) as client:
        yield client
