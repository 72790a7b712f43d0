"""DYN.HOT and DYN.MONITOR at the client port: for whoever may read keys, and for nobody else."""

from __future__ import annotations

import json
from typing import Any

from node.core.limits_watch import MONITORS_MAX
from node.runtime.auth import Password
from node.runtime.clients import ClientListener
from node.wire.requests import Get
from tests.helpers.fake_store import Client, FakeStore, pack, serving
from tests.helpers.peers import Run


async def asked(client: Client, *words: str) -> Any:
    """The document that a command is answered with."""
    await client.send(pack(*words))
    assert (await client.line()).startswith(b"$")
    return json.loads(await client.line())


def test_who_has_not_given_the_password_hears_of_no_key(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, password=Password(b"secret"))
        async with serving(listener) as port:
            client = await port.connect()
            await client.send(pack("DYN.HOT") + pack("DYN.MONITOR"))
            await client.expect(b"-NOAUTH Authentication required.\r\n" * 2)
            assert store.measures.sampler.listeners == 0

    run(main())


def test_documents_and_their_refusals(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store)
        async with serving(listener) as port:
            client = await port.connect()
            store.measures.done(Get(b"k"), store.answer(Get(b"k")), 0.001)
            hot = await asked(client, "DYN.HOT", "COUNT", "1")
            assert (hot["schema"], hot["node"], [each["key"] for each in hot["hot"]]) == ("dyn.hot/v1", "n1", ["k"])
            told = await asked(client, "DYN.MONITOR", "KEY", "cart:*")
            assert (told["schema"], told["listener"], told["requests"]) == ("dyn.monitor/v1", 1, [])
            store.measures.done(Get(b"cart:1"), store.answer(Get(b"cart:1")), 0.001)
            told = await asked(client, "DYN.MONITOR", "LISTENER", "1", "KEY", "cart:*")
            assert [each["key"] for each in told["requests"]] == ["cart:1"]
            for _ in range(MONITORS_MAX - 1):
                await asked(client, "DYN.MONITOR")
            await client.send(pack("DYN.MONITOR") + pack("DYN.HOT", "COUNT", "x") + pack("DYN.HOT", "a", "b", "c"))
            await client.expect(b"-BUSY 4 listen already, which is as many as may\r\n")
            await client.expect(b"-ERR COUNT must be a number from 1 to 256, not 'x'\r\n")
            await client.expect(b"-ERR syntax error: unexpected 'a'\r\n")

    run(main())
