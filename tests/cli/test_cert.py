"""`dyn node cert`: a CA and certificates, in files that are whole, owner-only where they are secret, and never lost."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from node.core.roles import CLIENT, NODE, Holder, holders_of
from node.runtime.certificates import load_tls, open_tls, shake_hands
from node.runtime.config import NodeSettings
from tests.helpers.cli import Result, dyn


def make(folder: Path, *words: str, **more: Any) -> Result:
    return dyn("node", "cert", *words, "--dir", str(folder), **more)


def made(folder: Path, *words: str, **more: Any) -> dict[str, Any]:
    result = make(folder, *words, "--json", **more)
    assert result.status == 0, result.err
    document: dict[str, Any] = json.loads(result.out)
    return document


def test_three_commands_make_a_node_start(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    ca = made(folder, "ca", "--cluster", "carts")
    node = made(folder, "node", "n1", "--cluster", "carts", "--host", "192.0.2.7", "--host", "n1.example.org")
    assert node == {
        "schema": "dyn.cert/v1", "role": "node", "name": "n1", "cluster": "carts", "uri": "dyn://carts/node",
        "hosts": ["192.0.2.7", "n1.example.org", "localhost", "127.0.0.1", "::1"],
        "cert": f"{folder}/n1.pem", "key": f"{folder}/n1.key", "ca": ca["cert"], "expires_at": node["expires_at"],
    }  # fmt: skip
    files = [Path(node[name]) for name in ("cert", "key", "ca")]
    settings = NodeSettings(cluster="carts", tls_cert=files[0], tls_key=files[1], tls_ca=files[2])
    tls = open_tls(settings)
    assert tls is not None
    shown = shake_hands(tls.accepting, tls.dialling)
    assert holders_of(shown) == [Holder("carts", NODE)]
    assert ("IP Address", "192.0.2.7") in shown["subjectAltName"]
    assert ("DNS", "n1.example.org") in shown["subjectAltName"]
    assert sorted(path.name for path in folder.iterdir()) == ["ca.key", "ca.pem", "n1.key", "n1.pem"]


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    for words in (("ca",), ("node",), ("client", "ada")):
        key = Path(made(tmp_path / "certs", *words)["key"])
        assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "certs").stat().st_mode & 0o777 == 0o700


def test_a_client_is_no_server(tmp_path: Path) -> None:
    made(tmp_path, "ca")
    made(tmp_path, "client", "ada")
    made(tmp_path, "node", "n1")
    ca = tmp_path / "ca.pem"
    ada, n1 = (load_tls("dyn", tmp_path / f"{name}.pem", tmp_path / f"{name}.key", ca) for name in ("ada", "n1"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ada.serving, n1.dialling)
    shake_hands(n1.serving, ada.dialling)
    assert made(tmp_path, "client", "bob", "--cluster", "d")["uri"] == f"dyn://d/{CLIENT}"


def test_nothing_is_overwritten_unless_it_is_renewed(tmp_path: Path) -> None:
    made(tmp_path, "ca")
    made(tmp_path, "node", "n1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for words in (("ca",), ("node", "n1"), ("client", "n1"), ("ca", "--renew")):
        result = make(tmp_path, *words)
        assert result.status == 9
        assert "is there already" in result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    made(tmp_path, "node", "n1", "--renew")
    changed = {path.name for path in tmp_path.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"n1.pem", "n1.key"}
    assert (tmp_path / "n1.key").stat().st_mode & 0o777 == 0o600


def test_none_outlives_its_ca(tmp_path: Path) -> None:
    ca = made(tmp_path, "ca", "--days", "10")
    assert made(tmp_path, "node", "n1")["expires_at"] == ca["expires_at"]
    assert made(tmp_path, "node", "n2", "--days", "5")["expires_at"] < ca["expires_at"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("node", "n1"), 3, "no CA in {}: ca.pem is missing. Make it: dyn node cert ca"),
        (("node", "ca"), 2, "ca is the name of the CA"),
        (("ca", "mine"), 2, "a CA has no name"),
        (("server",), 2, "'server' is none of ca, node, client"),
        (("node", "../n1"), 2, "letters, digits, dot, dash and underscore are allowed"),
        (("node", "n1", "--host", "no host"), 2, "'no host' is no address and no host name"),
        (("node", "n1", "--days", "0"), 2, "'0' is not 1 to 3650 days"),
        (("node", "n1", "--days", "9999"), 2, "'9999' is not 1 to 3650 days"),
        (("node", "n1", "--cluster", "a/b"), 2, "letters, digits"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(
    tmp_path: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    result = make(tmp_path, *words)
    assert result.status == status
    assert said.format(tmp_path) in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_ca_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    made(tmp_path, "ca")
    (tmp_path / "ca.key").chmod(0o644)
    result = make(tmp_path, "node", "n1")
    assert (result.status, result.err) == (
        9, f"dyn: {tmp_path}/ca.key can be read by others. chmod 600 {tmp_path}/ca.key\n",
    )  # fmt: skip


@pytest.mark.parametrize("spoiled", ["ca.pem", "ca.key"])
def test_what_is_no_ca_signs_nothing(tmp_path: Path, spoiled: str) -> None:
    for folder in (tmp_path, tmp_path / "other"):
        made(folder, "ca")
    for content in (b"nonsense", (tmp_path / "other" / spoiled).read_bytes()):
        (tmp_path / spoiled).write_bytes(content)
        assert make(tmp_path, "node", "n1").status == 1
    assert not (tmp_path / "n1.pem").exists()


def test_the_cluster_of_the_environment_counts(tmp_path: Path) -> None:
    made(tmp_path, "ca")
    assert made(tmp_path, "node", "n1", environ={"DYN_CLUSTER": "carts"})["uri"] == "dyn://carts/node"
    assert make(tmp_path, "node", "n2", environ={"DYN_CLUSTER": "a b"}).status == 2


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    result = make(tmp_path, "ca")
    assert result.status == 1
    assert result.err == "dyn: making certificates takes the package cryptography. pip install cryptography\n"


def test_the_screen_says_what_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = []
    for words in (("ca",), ("node", "n1"), ("client", "ada")):
        result = dyn("node", "cert", *words, terminal=True, environ={"NO_COLOR": "1"})
        assert result.status == 0, result.err
        lines += result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Next: dyn node cert node n1 --host ADDRESS" in lines
    assert "Next: dyn node start --tls-cert n1.pem --tls-key n1.key --tls-ca ca.pem" in lines
    assert "Next: dyn --tls-ca ca.pem --tls-cert ada.pem --tls-key ada.key" in lines
    assert dyn("node", "cert", "client", "bob", "-o", "plain").out.startswith("role\tname\tcluster\tcert\tkey\t")
