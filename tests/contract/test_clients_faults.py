"""DYN.FAULT at the client port: who may give it, and what a node says that takes none."""

from __future__ import annotations

import asyncio

import pytest

from node.runtime.auth import Password
from node.runtime.clients import ClientListener
from node.wire.faults import Order
from node.wire.replies import Value
from tests.helpers.fake_store import Client, FakeStore, pack, serving
from tests.helpers.peers import Run


def listener_with_faults(given: list[Order], password: str = "") -> ClientListener:
    def obey(order: Order) -> Value:
        given.append(order)
        return b"{}"

    store = FakeStore()
    listener = ClientListener(
        store.submit, store.flush, store, password=Password(password.encode()) if password else None
    )
    listener.faults = obey
    return listener


def test_a_node_without_the_flag_says_how_to_start_one_with_it(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(pack("DYN.FAULT", "LIST"))
            await client.expect(b"-ERR this node takes no faults: start it with dyn node start --allow-faults\r\n")

    run(main())


def test_an_order_is_obeyed_in_its_place_among_other_commands(run: Run) -> None:
    async def main() -> None:
        given: list[Order] = []
        async with serving(listener_with_faults(given)) as port:
            client = await port.connect()
            await client.send(
                pack("PING") + pack("dyn.fault", "cut", "n1", "n2") + pack("DYN.FAULT", "CUT") + pack("PING")
            )
            await client.expect(b"+PONG\r\n$2\r\n{}\r\n")
            await client.expect(b"-ERR DYN.FAULT CUT needs 2 words after it, not 0; usage: DYN.FAULT CUT a b\r\n")
            await client.expect(b"+PONG\r\n")
        assert given == [Order("CUT", "n1", "n2")]

    run(main())


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_client_from_elsewhere_is_denied(run: Run, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """127.0.0.2 stands in for another machine, and even its password does not help."""
    monkeypatch.setattr("node.runtime.housekeeping.is_loopback", lambda host: host == "127.0.0.1")

    async def main() -> None:
        given: list[Order] = []
        listener = listener_with_faults(given, password)
        number = await listener.start("127.0.0.1", 0)
        for host, answer in (("127.0.0.2", b"-DENIED DYN.FAULT is taken from this machine"), ("127.0.0.1", b"$2")):
            client = Client(*await asyncio.open_connection("127.0.0.1", number, local_addr=(host, 0)))
            if password:
                await client.send(pack("AUTH", password))
                await client.expect(b"+OK\r\n")
            await client.send(pack("DYN.FAULT", "HEAL"))
            assert (await client.line()).startswith(answer)
            await client.close()
        assert given == [Order("HEAL")]
        await listener.stop()

    run(main())


def test_the_password_is_asked_for_first(run: Run) -> None:
    async def main() -> None:
        given: list[Order] = []
        async with serving(listener_with_faults(given, "secret")) as port:
            client = await port.connect()
            await client.send(pack("DYN.FAULT", "HEAL"))
            await client.expect(b"-NOAUTH Authentication required.\r\n")
        assert given == []

    run(main())
