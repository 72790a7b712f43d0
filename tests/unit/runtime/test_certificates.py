"""The TLS files of a node, looked at before it starts: one line that says which is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dynamo_cli import certs
from node.runtime.certificates import FILE_BYTES_MAX, open_tls
from node.runtime.config import NodeSettings, StartError
from node.runtime.keys import TLS_KEY_BYTES_MAX
from tests.helpers.authority import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def settings(pair: Pair, cluster: str = "c") -> NodeSettings:
    return NodeSettings(cluster=cluster, tls_cert=pair.cert, tls_key=pair.key, tls_ca=pair.ca)


def test_a_good_pair_is_taken(authority: Authority) -> None:
    tls = open_tls(settings(authority.issue(days=30)))
    assert tls is not None
    assert tls.cluster == "c"
    left_days = (tls.expires_at - certs.now().timestamp()) / 86_400
    assert left_days == pytest.approx(30, abs=0.01)


def test_without_files_there_is_no_tls() -> None:
    assert open_tls(NodeSettings()) is None


def encrypted(pair: Pair, other: Pair) -> Pair:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password")))
    return pair


def readable(pair: Pair, other: Pair) -> Pair:
    pair.key.chmod(0o640)
    return pair


def written(name: str, content: bytes) -> Callable[[Pair, Pair], Pair]:
    def spoil(pair: Pair, other: Pair) -> Pair:
        getattr(pair, name).write_bytes(content)
        return pair

    return spoil


def missing(name: str) -> Callable[[Pair, Pair], Pair]:
    def spoil(pair: Pair, other: Pair) -> Pair:
        getattr(pair, name).unlink()
        return pair

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing("cert"), "cannot read --tls-cert {cert}: No such file or directory"),
        (missing("key"), "cannot read TLS key file {key}: No such file or directory"),
        (missing("ca"), "cannot read --tls-ca {ca}: No such file or directory"),
        (readable, "TLS key file {key} can be read by others: chmod 600 {key}"),
        (written("cert", b"nonsense"), "--tls-cert {cert} and --tls-key {key} are no certificate and its key (PEM)"),
        (written("key", b"nonsense"), "--tls-cert {cert} and --tls-key {key} are no certificate and its key (PEM)"),
        (written("ca", b"nonsense"), "--tls-ca {ca} holds no certificate (PEM). Make a CA: dyn node cert ca"),
        (written("ca", b""), "--tls-ca {ca} holds no certificate (PEM)"),
        (written("ca", bytes(FILE_BYTES_MAX + 1)), "--tls-ca {ca} is over 1048576 bytes"),
        (written("key", bytes(TLS_KEY_BYTES_MAX + 1)), "TLS key file {key} is over 32768 bytes"),
        (lambda pair, other: pair._replace(key=other.key), "--tls-key {key} is not the key of --tls-cert {cert}"),
        (encrypted, "--tls-key {key} is encrypted, and a node cannot ask for its password"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    authority: Authority, spoil: Callable[[Pair, Pair], Pair], words: str
) -> None:
    pair = spoil(authority.issue(), authority.issue())
    with pytest.raises(StartError) as caught:
        open_tls(settings(pair))
    assert words.format(**pair._asdict()) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_peers_would_refuse_is_refused_at_the_start(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    for pair, cluster, words in (
        (authority.expired(), "c", "its certificate has expired"),
        (other.issue(trusts=authority), "c", "its certificate is not of our CA"),
        (authority.issue(at=certs.now() + certs.timedelta(days=2)), "c", "its certificate is not valid yet"),
        (authority.issue("client"), "c", "its certificate is not meant for this side of TLS"),
        (authority.issue(), "d", "is not for a node of the cluster d: it is of the cluster c"),
    ):
        with pytest.raises(StartError) as caught:
            open_tls(settings(pair, cluster))
        assert words in str(caught.value)
        assert str(pair.cert) in str(caught.value)
        assert caught.value.hint == "Make one: dyn node cert node NAME"


def test_a_certificate_of_no_role_is_refused(authority: Authority) -> None:
    """As somebody would make it who knows how certificates of web servers are made."""
    with pytest.raises(StartError) as caught:
        open_tls(settings(authority.web()))
    assert "it names no role: dyn://c/node is wanted" in str(caught.value)
