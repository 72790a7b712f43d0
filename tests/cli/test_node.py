"""`dyn node start` up to the moment the node runs: flags become settings, errors one sentence, and the banner."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo_cli.call import Call
from dynamo_cli.catalog import find
from dynamo_cli.commands.node import announce, page_address
from dynamo_cli.options import Options
from node.runtime.config import OPTIONS, NodeSettings
from node.runtime.server import Ready
from tests.helpers.cli import dyn, environment

READY = Ready("n7701", "dyn", "127.0.0.1:7701", "127.0.0.1:7801", "127.0.0.1:7901", 42, "/data/n7701", 1, 0.41)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--port", "x"), "--port is 'x': 1 to 65535 is allowed"),
        (("--nrw", "3/4/2"), "--nrw is '3/4/2'"),
        (("--partitions", "100"), "a power of two is needed"),
        (("--join", "nowhere"), "HOST:PEERPORT is needed"),
        (("--config", "/nonexistent.toml"), "cannot read the configuration file /nonexistent.toml"),
        (("--durability", "some"), "full, normal and memory are allowed"),
        (("--replace", "n 3"), "letters, digits, dot, dash and underscore are allowed"),
        (("--replace", "n3", "--seat", "ab" * 16), "under a new id: name one"),
    ],
)
def test_a_wrong_setting_is_a_usage_error_in_one_line(argv: tuple[str, ...], words: str) -> None:
    result = dyn("node", "start", *argv)
    assert (result.status, result.out) == (2, "")
    assert words in result.err
    assert result.err.count("\n") == 1


def test_an_open_address_without_secrets_is_refused_with_the_commands_that_fix_it() -> None:
    result = dyn("node", "start", "--listen", "0.0.0.0")
    assert result.status == 1
    assert "--key-file" in result.err
    assert "--password-file" in result.err


def test_every_setting_has_a_flag() -> None:
    start = find(("node", "start"))
    assert start is not None
    flags = {flag for option in start.own_options for flag in option.flags}
    anywhere = {flag for option in start.global_options for flag in option.flags}
    assert anywhere >= {"--tls-cert", "--tls-key", "--tls-ca"}  # as clients take them
    assert flags | {"--tls-cert", "--tls-key", "--tls-ca"} == {
        "--" + option.field.replace("_", "-") for option in OPTIONS
    } | {"--config", "--check-config", "--ephemeral"}


def test_off_a_terminal_there_is_one_line() -> None:
    made, out, err = environment()
    announce(Call(made), NodeSettings(port=7701), READY)
    assert out.getvalue().startswith(b"ready n7701 cluster=dyn client=127.0.0.1:7701 ")
    assert out.getvalue().count(b"\n") == 1
    assert err.getvalue() == b""


def test_on_a_terminal_there_is_a_banner_that_fits_it() -> None:
    made, out, _ = environment(terminal=True)
    announce(Call(made), NodeSettings(port=7701, durability="normal", data_dir=Path("/data")), READY)
    lines = out.getvalue().decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("ready") for line in lines) == 1
    assert any("! 1 of N=3 nodes: N/R/W act as 1/1/1 until more join" in line for line in lines)
    assert any("! durability normal" in line for line in lines)
    assert any("dyn -n 127.0.0.1:7701 put hello world" in line for line in lines)
    assert any(line.startswith(f"  http://{READY.http}/ ") for line in lines)


def test_the_page_of_a_node_with_tls_is_plain_on_loopback_alone() -> None:
    tls = NodeSettings(tls_ca=Path("/certs/ca.pem"))
    assert page_address(tls, READY) == f"http://{READY.http}/"
    assert page_address(tls._replace(listen="10.0.0.1"), READY) == f"https://{READY.http}/"


def test_the_banner_of_a_node_with_tls_says_how_to_get_in() -> None:
    made, out, _ = environment(terminal=True)
    announce(Call(made), NodeSettings(port=12345, tls_ca=Path("/certs/ca.pem")), READY)
    lines = out.getvalue().decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert "  export DYN_TLS_CA=/certs/ca.pem" in lines
    assert "  dyn node start --port 12346 --tls-cert F --tls-key F" in [line.rstrip() for line in lines]
    assert '  redis-cli -p 12345 --tls --cacert "$DYN_TLS_CA" any Redis client works too' in lines


def test_quiet_is_one_line_on_a_terminal_too() -> None:
    made, out, _ = environment(terminal=True)
    announce(Call(made, Options(quiet=True)), NodeSettings(), READY)
    assert out.getvalue().count(b"\n") == 1
