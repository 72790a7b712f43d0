"""The client port on a real socket: order, pipelines, bounds, and clients that misbehave."""

from __future__ import annotations

import asyncio
import random

import pytest

from node.core.limits import MIB
from node.wire.requests import Failed
from tests.helpers.fake_store import Client, pack, serving
from tests.helpers.peers import Run, until


def check(run: Run, *dialogue: tuple[bytes, bytes]) -> None:
    """Each thing sent gets exactly its answer, the connection of others goes on."""

    async def main() -> None:
        async with serving() as port:
            client, other = await port.connect(), await port.connect()
            for said, answer in dialogue:
                await client.send(said)
                await client.expect(answer)
            await other.send(pack("PING"))
            await other.expect(b"+PONG\r\n")

    run(main())


CASES = [
    ((pack("PING"), b"+PONG\r\n"), (b"PING\r\n", b"+PONG\r\n"), (pack("PING", "x"), b"$1\r\nx\r\n")),
    ((pack("SET", "k", "v"), b"+OK\r\n"), (pack("GET", "k"), b"$1\r\nv\r\n"), (pack("DEL", "k"), b":1\r\n")),
    ((pack("GET", "k"), b"$-1\r\n"), (pack("HELLO", "3", "SETNAME", "x")[:-1], b""), (b"\n", b"%7\r\n")),
    ((pack("SET", b"\0\r\n\xff", b"\xfe\n\0") + pack("GET", b"\0\r\n\xff"), b"+OK\r\n$3\r\n\xfe\n\0\r\n"),),
    ((pack("ECHO", "a") + b"*0\r\n\r\n" + pack("ECHO", "b"), b"$1\r\na\r\n$1\r\nb\r\n"),),
    ((pack("SELECT", "0"), b"+OK\r\n"), (pack("SELECT", "1"), b"-ERR DB index is out of range")),
    ((pack("CLIENT", "GETNAME"), b"$-1\r\n"), (pack("CLIENT", "SETNAME", "me"), b"+OK\r\n"),
     (pack("CLIENT", "GETNAME"), b"$2\r\nme\r\n"), (pack("CLIENT", "ID"), b":1\r\n"),
     (pack("RESET"), b"+RESET\r\n"), (pack("CLIENT", "GETNAME"), b"$-1\r\n")),
    ((pack("CLIENT", "SETNAME", "a b"), b"-ERR Client names"), ),
    ((pack("CLIENT", "SETNAME", "x" * 65), b"-ERR Client names"), ),
    ((pack("CLIENT", "NOSUCH"), b"-NOTSUPPORTED CLIENT NOSUCH"), ),
    ((pack("CLIENT", "SETNAME"), b"-ERR wrong number"), ),
    ((pack("HELLO", "4"), b"-NOPROTO"), ),
    ((pack("HELLO", "3", "AUTH", "x"), b"-ERR Syntax error in HELLO"), ),
    ((pack("AUTH", "x"), b"-ERR AUTH called without any password"), ),
    ((pack("NOSUCH", "x"), b"-ERR unknown command 'NOSUCH'"), ),
    ((pack("GET"), b"-ERR wrong number of arguments for 'get'"), ),
    ((pack("PING", "a", "b"), b"-ERR wrong number of arguments for 'ping'"), ),
    ((pack("INCR", "x"), b"-NOTSUPPORTED INCR"), ),
    ((pack("SET", "", "v"), b"-ERR the key has 0 bytes\r\n"), ),
    ((pack("SET", "k" * 4097, "v"), b"-TOOBIG the key has 4097 bytes\r\n"), (pack("PING"), b"+PONG\r\n")),
    ((pack("SET", "k", b"v" * (MIB + 1)), b"-TOOBIG the value has 1048577 bytes"), ),
    ((pack("SET", "k", b"v" * (65 * MIB)), b"-TOOBIG the command has 68157444 bytes of arguments\r\n"),
     (pack("PING"), b"+PONG\r\n")),
    ((pack("DYN.PUT", "k", "forged", "v"), b"-BADCONTEXT this is no context token"), ),
    ((pack("DYN.DEL", "k", ""), b"-BADCONTEXT a delete needs"), ),
    ((pack("CONFIG", "GET", "max-*"), b"*2\r\n$15\r\nmax-value-bytes\r\n$7\r\n1048576\r\n"),
     (pack("CONFIG", "SET", "x", "y"), b"-NOTSUPPORTED CONFIG SET")),
    ((pack("TIME"), b"*2\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n"), ),
    ((pack("DBSIZE"), b":0\r\n"), (pack("COMMAND", "COUNT"), b":")),
    ((pack("COMMAND", "GETKEYS", "mset", "a", "1", "b", "2"), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"), ),
    ((pack("HELP", "get"), b"*1\r\n+GET key  The value of a key"), ),
]  # fmt: skip


@pytest.mark.parametrize("dialogue", CASES)
def test_dialogues(run: Run, dialogue: tuple[tuple[bytes, bytes], ...]) -> None:
    check(run, *dialogue)


def ends_with(run: Run, said: bytes, answer: bytes) -> None:
    """The server answers so and ends the connection; others go on."""

    async def main() -> None:
        async with serving() as port:
            client, other = await port.connect(), await port.connect()
            await client.send(said)
            assert await client.ended() == answer
            await client.close()
            await other.send(pack("PING"))
            await other.expect(b"+PONG\r\n")
            await until(lambda: len(port.listener.sessions) == 1)

    run(main())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (pack("QUIT"), b"+OK\r\n"),
        (pack("PING") + pack("QUIT") + pack("PING"), b"+PONG\r\n+OK\r\n"),
        (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (pack("PING") + b"*1\r\n$-7\r\n", b"+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n+PING\r\n", b"-ERR Protocol error: expected '$', got '+'\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n", b""),
        (b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
    ],
)
def test_endings(run: Run, said: bytes, answer: bytes) -> None:
    ends_with(run, said, answer)


def test_ten_thousand_commands_in_one_write(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            data = b"".join(pack("SET", f"k{n % 100}", str(n)) + pack("GET", f"k{n % 100}") for n in range(5000))
            sending = asyncio.create_task(client.send(data))
            for n in range(5000):
                await client.expect(b"+OK\r\n$%d\r\n%d\r\n" % (len(str(n)), n))
            await sending

    run(main())


def test_replies_keep_the_order_of_commands(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            client = await port.connect()
            keys = [f"k{n}" for n in range(50)]
            await client.send(b"".join(pack("SET", key, key) + pack("ECHO", key) for key in keys))
            await until(lambda: len(port.store.held) == 50)
            rng = random.Random(3)
            while port.store.held:
                port.store.release(rng.randrange(len(port.store.held)))
            for key in keys:
                await client.expect(b"+OK\r\n$%d\r\n%b\r\n" % (len(key), key.encode()))

    run(main())


def test_a_pipeline_means_what_its_order_says(run: Run) -> None:
    """A command waits for an earlier one on its key if one of the two writes; others pass the store together."""

    async def main() -> None:
        async with serving() as port:
            store = port.store
            store.hold = True
            client = await port.connect()
            lines = ["SET a 1", "GET b", "SET a 2", "GET a", "GET a", "MSET a 3 c 3", "GET c"]
            await client.send("".join(f"{line}\r\n" for line in lines).encode())
            for expected in (2, 1, 2, 2, 1):  # [SET, GET b] [SET] [GET, GET] [MSET of two] [GET c]
                await until(lambda n=expected: len(store.held) == n)
                for _ in range(expected):
                    store.release(len(store.held) - 1)
            await client.expect(b"+OK\r\n$-1\r\n+OK\r\n$1\r\n2\r\n$1\r\n2\r\n+OK\r\n$1\r\n3\r\n")

    run(main())


def test_a_refused_transaction_is_not_done_without(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(
                pack("MULTI") + pack("SET", "k", "v") + pack("PING") + pack("EXEC") + pack("SET", "a", "1")
            )
            for start in (b"-NOTSUPPORTED MULTI", b"-NOTSUPPORTED not done", b"+PONG"):
                assert (await client.line()).startswith(start)
            assert (await client.line()).startswith(b"-NOTSUPPORTED EXEC")
            await client.expect(b"+OK\r\n")
            assert list(port.store.rows) == [b"a"]
            # who reads the answer and goes on is not held to it
            await client.send(pack("MULTI"))
            assert (await client.line()).startswith(b"-NOTSUPPORTED MULTI")
            await client.send(pack("SET", "b", "1"))
            await client.expect(b"+OK\r\n")

    run(main())


def test_whoever_says_goodbye_gets_his_replies(run: Run) -> None:
    """The end of input after commands: `printf … | nc`."""

    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            client = await port.connect()
            await client.send(pack("SET", "k", "v") + pack("GET", "k"))
            client.writer.write_eof()
            await until(lambda: port.store.held)
            port.store.release()
            await until(lambda: port.store.held)
            port.store.release()
            assert await client.ended() == b"+OK\r\n$1\r\nv\r\n"
            idle = await port.connect()
            idle.writer.write_eof()
            assert await idle.ended() == b""

    run(main())


def test_a_client_that_leaves_disturbs_nobody(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            client, other = await port.connect(), await port.connect()
            await client.send(pack("SET", "k", "v") + pack("MGET", "a", "b"))
            await until(lambda: len(port.store.held) == 3)
            await client.close()
            while port.store.held:
                port.store.release()
            await until(lambda: len(port.listener.sessions) == 1)
            port.store.hold = False
            await other.send(pack("GET", "k"))
            await other.expect(b"$1\r\nv\r\n")

    run(main())


def test_writers_are_named(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(pack("CLIENT", "SETNAME", "cart-7") + pack("SET", "k", "v"))
            await client.expect(b"+OK\r\n+OK\r\n")
            assert port.store.rows[b"k"].versions[0].writer == "cart-7"

    run(main())


def test_protocol_of_a_reply_is_that_of_its_command(run: Run) -> None:
    """HELLO 3 behind a command in flight does not change that command's reply."""

    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            client = await port.connect()
            await client.send(pack("GET", "a") + pack("HELLO", "3") + pack("GET", "b"))
            await until(lambda: len(port.store.held) == 2)
            port.store.release(1)
            port.store.release(0)
            await client.expect(b"$-1\r\n%7\r\n$6\r\nserver\r\n$3\r\ndyn\r\n")
            rest = b""
            while not rest.endswith(b"_\r\n"):
                rest += await client.line()
            assert b"$5\r\nproto\r\n:3\r\n" in rest

    run(main())


@pytest.mark.parametrize(
    "code",
    [
        "UNAVAILABLE",
        "UNKNOWN",
        "BADCONTEXT",
        "TOOBIG",
        "TOOMANYSIBLINGS",
        "BUSY",
        "DISKFULL",
        "DENIED",
        "NOTSUPPORTED",
        "ERR",
    ],
)
def test_failures_keep_their_prefix(run: Run, code: str) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.failing = Failed(code, "because\r\nof that")
            client = await port.connect()
            for line in (
                "GET k",
                "SET k v",
                "DYN.GET k",
                'DYN.PUT k "" v',
                "DYN.RING",
                "DYN.KEYS",
                "MGET k",
                "MSET k v",
            ):
                await client.send(line.encode() + b"\r\n")
                await client.expect(b"-%b because  of that\r\n" % code.encode())

    run(main())


def test_reads_of_one_go_are_flushed_once(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(pack("PING"))
            await client.expect(b"+PONG\r\n")
            before = port.store.flushes
            await client.send(b"".join(pack("SET", f"k{n}", "v") for n in range(16)))
            await client.expect(b"+OK\r\n" * 16)
            assert len(port.store.requests) == 16
            assert port.store.flushes - before <= 2

    run(main())


def test_info_and_client_list(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(
                pack("CLIENT", "SETNAME", "me") + pack("INFO") + pack("INFO", "node") + pack("CLIENT", "LIST")
            )
            await client.expect(b"+OK\r\n")
            info = await bulk(client)
            for line in ("# Server", "redis_version:7.0.0", "dyn_version:0.1.0", "connected_clients:1", "tcp_port:1"):
                assert f"{line}\r\n".encode() in info + b"\r\n"
            assert await bulk(client) == b"# Node\r\nname:n1\r\n"
            listed = await bulk(client)
            assert b"name=me" in listed
            assert b"cmd=client" in listed

    run(main())


async def bulk(client: Client) -> bytes:
    header = await client.line()
    assert header[:1] == b"$", header
    return (await client.reader.readexactly(int(header[1:]) + 2))[:-2]
