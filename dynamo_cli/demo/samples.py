"""Sample keys for a new demo, so that there is something to get, to break and to merge from the first line on."""

from __future__ import annotations

from dynamo_cli import store
from dynamo_cli.demo.processes import DemoCluster, asking
from dynamo_cli.errors import CliError

SEEDS = ("none", "tour", "carts")
"""What a new demo may hold: nothing; sample keys, one of which has a conflict; sample keys."""
IN_CONFLICT = b"cart:1042"
WRITTEN_APART = (b'["bread","salt","eggs"]', b'["bread","salt","beer"]')
"""By two writers who did not see each other."""
CARTS = [["eggs"], ["bread", "salt"], ["milk"], ["tea", "jam"], ["rice"]]
STOCK = ("apples", "bread", "eggs", "jam", "milk", "rice", "salt", "tea")
FIRST, LAST = 1041, 1060


def samples() -> dict[bytes, bytes]:
    """Keys and values: carts as lists, stock as counts."""
    carts = {
        b"cart:%d" % number: str(CARTS[number % len(CARTS)]).replace("'", '"').encode()
        for number in range(FIRST, LAST + 1)
    }
    return carts | {b"stock:" + name.encode(): b"%d" % (7 * len(name)) for name in STOCK}


def seed(cluster: DemoCluster, what: str) -> str:
    """Write one of SEEDS; in words what there is, "" for nothing, or why there is none."""
    if what == "none":
        return ""
    made = samples()
    conflict = ""
    try:
        with asking(cluster.nodes[0]) as client:
            for key, value in made.items():
                store.put(client, key, b"", value)
            if what == "tour":
                read = store.get(client, IN_CONFLICT)
                for value in WRITTEN_APART:
                    store.put(client, IN_CONFLICT, read.context, value)
                conflict = f"; {IN_CONFLICT.decode()} has a conflict"
    except CliError as error:
        return f"no sample keys: {error.message}"
    return f"{len(made)} sample keys (cart:{FIRST} to cart:{LAST}, stock:*){conflict}"
