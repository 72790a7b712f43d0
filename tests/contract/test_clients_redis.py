"""Redis' own tools and redis-py with its defaults, unmodified, against the client port."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from node.runtime.auth import Password
from tests.helpers.fake_store import Port, serving, serving_blocking_clients
from tests.helpers.peers import Run
from tests.helpers.tools import need

PROTOCOLS = [2, 3]


@pytest.fixture
def port() -> Iterator[Port]:
    with serving_blocking_clients() as served:
        yield served


@pytest.fixture
def cli(port: Port, tmp_path: Path) -> Callable[..., str]:
    path = need("redis-cli", package="redis-tools")

    def call(*words: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [path, "-p", str(port.number), *words],
            input=stdin, capture_output=True, text=True, timeout=30, check=False, env={"HOME": str(tmp_path)},
        )  # fmt: skip
        return done.stdout + done.stderr

    return call


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_redis_cli(cli: Callable[..., str], protocol: str) -> None:
    assert cli(protocol, "SET", "k", "v") == "OK\n"
    assert cli(protocol, "GET", "k") == "v\n"
    assert cli(protocol, "MSET", "a", "1", "b", "2") == "OK\n"
    assert cli(protocol, "MGET", "a", "b", "none") == "1\n2\n\n"
    assert cli(protocol, "EXISTS", "a", "b", "none") == "2\n"
    assert cli(protocol, "DEL", "a", "none") == "1\n"
    assert cli(protocol, "INCR", "a").startswith("NOTSUPPORTED INCR")
    assert sorted(cli(protocol, "--scan").split()) == ["b", "k"]
    assert cli(protocol, "TYPE", "k") == "string\n"
    assert "redis_version:7.0.0" in cli(protocol, "INFO")
    context, value = cli(protocol, "DYN.GET", "k").split()
    assert value == "v"
    after = cli(protocol, "DYN.PUT", "k", context, "w").strip()
    assert cli(protocol, "DYN.PUT", "k", context, "x").strip() not in ("", after)
    assert cli(protocol, "GET", "k").startswith("SIBLINGS k has 2 values")
    _, first, second = cli(protocol, "DYN.GET", "k").split()
    assert {first, second} == {"w", "x"}
    assert json.loads(cli(protocol, "DYN.RING"))["schema"] == "dyn.ring/v1"


def test_redis_cli_pipes(cli: Callable[..., str]) -> None:
    assert cli(stdin="SET 'a b' \"c\\nd\"\nGET 'a b'\n") == "OK\nc\nd\n"
    lines = "".join(f"SET key:{n} {n}\r\n" for n in range(1000))
    assert "errors: 0, replies: 1000" in cli("--pipe", stdin=lines)


def test_redis_cli_exit_status(cli: Callable[..., str], port: Port) -> None:
    path = need("redis-cli", package="redis-tools")
    for command, code in ((["SET", "k", "v"], 0), (["NOSUCH"], 1)):
        done = subprocess.run([path, "-e", "-p", str(port.number), *command], capture_output=True, check=False)
        assert done.returncode == code


def test_redis_cli_help_is_ours(cli: Callable[..., str]) -> None:
    helped = re.sub(r"\x1b\[[0-9;]*m", "", cli("HELP", "DYN.GET"))
    assert "DYN.GET key [R n] [STRICT] [TIMEOUT ms] [WITHCLOCKS] [LOCAL]" in helped
    assert "since: 0.1.0" in helped
    group = re.sub(r"\x1b\[[0-9;]*m", "", cli("HELP", "@dyn"))
    assert "DYN.EXPLAIN key" in group
    assert "MSET key value [key value ...]" in re.sub(r"\x1b\[[0-9;]*m", "", cli("HELP", "MSET"))


def test_redis_cli_hints_as_one_types(port: Port, tmp_path: Path) -> None:
    path = need("redis-cli", package="redis-tools")
    child = pexpect.spawn(path, ["-p", str(port.number)], env={"HOME": str(tmp_path), "TERM": "xterm"}, timeout=20)
    try:
        child.expect("> ")
        child.send("dyn.put ")
        child.expect(re.escape("key context value [W n] [STRICT]"))
        child.sendcontrol("c")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)


def test_redis_cli_survey_modes(cli: Callable[..., str]) -> None:
    cli("MSET", "a", "1", "bb", "22")
    assert "Sampled 2 keys in the keyspace" in cli("--bigkeys")
    assert "Sampled 2 keys in the keyspace" in cli("--memkeys")


def test_redis_cli_authenticates(tmp_path: Path) -> None:
    path = need("redis-cli", package="redis-tools")
    with serving_blocking_clients(Password(b"secret")) as port:
        for password, answer in (("secret", "PONG"), ("wrong", "NOAUTH Authentication required.")):
            done = subprocess.run(
                [path, "-p", str(port.number), "PING"],
                capture_output=True, text=True, check=False, env={"REDISCLI_AUTH": password, "HOME": str(tmp_path)},
            )  # fmt: skip
            assert done.stdout.strip() == answer


def test_redis_benchmark(port: Port) -> None:
    path = need("redis-benchmark", package="redis-tools")
    command = [path, "-p", str(port.number), "-q", "-c", "20", "-r", "100"]
    tests = ["-t", "ping_inline,ping_mbulk,set,get,mset"]
    for more in (
        [*tests, "-n", "2000"],
        [*tests, "-n", "4000", "-P", "16"],
        ["-n", "1000", "DYN.GET", "key:__rand_int__"],
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "requests per second" in done.stdout
        assert "rror" not in done.stdout + done.stderr


@pytest.mark.parametrize("protocol", [None, *PROTOCOLS])
def test_redis_py(port: Port, protocol: int | None) -> None:
    options = {} if protocol is None else {"protocol": protocol}
    with redis.Redis(port=port.number, **options) as client:  # type: ignore[arg-type]  # the defaults, or one option
        assert client.ping()
        assert client.set("k", b"\0\xff")
        assert client.get("k") == b"\0\xff"
        assert client.get("none") is None
        assert client.mset({"a": "1", "b": "2"})
        assert client.mget("a", "b", "none") == [b"1", b"2", None]
        assert client.exists("a", "none") == 1
        assert client.strlen("k") == 2
        assert client.delete("a", "none") == 1
        assert sorted(client.scan_iter(match="*")) == [b"b", b"k"]
        assert client.ttl("k") == -1
        assert client.type("k") == b"string"
        assert client.dbsize() == 3
        info = client.info()
        assert info["redis_version"] == "7.0.0"
        assert info["db0"]["keys"] == 3
        assert client.config_get("maxclients") == {"maxclients": "10000"}
        assert client.client_setname("me")
        assert client.client_getname() in ("me", b"me")
        assert [line["name"] for line in client.client_list()] == ["me"]
        assert client.time() == (1_700_000_000, 250_000)
        assert client.command_count() > 40
        assert "dyn.get" in client.command()
        with pytest.raises(redis.ResponseError, match=r"^NOTSUPPORTED INCR"):
            client.incr("k")
        with pytest.raises(redis.ResponseError, match=r"^NOTSUPPORTED SET … EX"):
            client.set("k", "v", ex=5)
        with client.pipeline(transaction=False) as pipe:
            for n in range(2000):
                pipe.set(f"p{n}", n).get(f"p{n}")
            assert pipe.execute() == [item for n in range(2000) for item in (True, str(n).encode())]
        with client.pipeline() as pipe, pytest.raises(redis.ResponseError, match="no transactions"):
            pipe.set("k", 1).execute()
        assert client.get("k") == b"\0\xff"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_redis_py_asyncio(run: Run, protocol: int) -> None:
    async def main() -> None:
        async with serving() as port, redis.asyncio.Redis(port=port.number, protocol=protocol) as client:
            assert await client.set("k", "v")
            assert await client.get("k") == b"v"
            async with client.pipeline(transaction=False) as pipe:
                for n in range(100):
                    pipe.set(f"p{n}", n)
                assert await pipe.execute() == [True] * 100
            with pytest.raises(redis.ResponseError, match="unknown command"):
                await client.execute_command("NOSUCH")

    run(main())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_redis_py_authenticates(protocol: int) -> None:
    with serving_blocking_clients(Password(b"secret")) as port:
        with redis.Redis(port=port.number, password="secret", protocol=protocol) as client:
            assert client.set("k", "v")
        with redis.Redis(port=port.number, username="default", password="secret", protocol=protocol) as client:
            assert client.get("k") == b"v"
        for password in ("wrong", None):
            with (
                redis.Redis(
                    port=port.number, password=password, protocol=protocol, retry=Retry(NoBackoff(), 0)
                ) as client,
                pytest.raises(redis.AuthenticationError),
            ):
                client.get("k")
