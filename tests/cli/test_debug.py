"""`dyn doctor` and `dyn debug bundle` on real nodes: what they find, leave there, and keep out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_cli.bundle import LEFT_OUT, last_lines, without_keys
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import Cluster, eventually
from tests.helpers.fake_node import HANG, FakeNode, fake_node

PASSWORD = "the-password-of-clients"
CLUSTER_KEY = "the cluster key of a test cluster"
"""As `tests.helpers.cluster` writes it."""

KEY, VALUE = "private:key", "private value"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes with a client password, and a key with two values."""
    folder = tmp_path_factory.mktemp("debug")
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD)
    with Cluster(3, folder, "--password-file", str(secret), "--allow-faults", start=False) as made:
        for node in made:
            node.start()
        for node in made:
            node.ready()
        for value in (VALUE, f"{VALUE} too"):
            on(made, "put", KEY, value, "--ctx", "none")
        yield made


def on(cluster: Cluster, *argv: str, **more: str) -> Result:
    environ = {"DYN_NODES": f"127.0.0.1:{cluster[0].port}", "DYN_PASSWORD": PASSWORD, **more}
    return dyn(*argv, environ=environ)


def test_the_doctor_finds_what_is_wrong_and_nothing_else(cluster: Cluster) -> None:
    assert on(cluster, "fault", "skew", "n2", "30").status == 0
    try:
        checks = json.loads(on(cluster, "doctor", "--only", "cluster", "--json").out)["checks"]
    finally:
        assert on(cluster, "fault", "heal").status == 0
    wrong = {check["id"]: check for check in checks if check["level"] != "ok"}
    assert set(wrong) == {"cluster.clocks", "data.siblings", "node.faults"}
    assert "the clock of n2 is 30 s ahead" in wrong["cluster.clocks"]["text"]
    assert f'"{KEY}" has 2' in wrong["data.siblings"]["text"]
    assert wrong["data.siblings"]["fix"] == f"dyn merge {KEY}"
    fine = {check["id"]: check["text"] for check in checks if check["level"] == "ok"}
    assert "GiB free at the least" in fine["node.disk"]
    assert "protocol" in fine["cluster.versions"]


def test_the_doctor_may_come_every_minute(cluster: Cluster) -> None:
    """It leaves no connection, no request, no memory and no write behind."""
    told = {node.name: node.rss_bytes for node in cluster}
    writes = _figures(cluster, "storage", "writes")
    for _ in range(15):
        assert on(cluster, "doctor", "--only", "cluster").status == 0
    eventually(lambda: _figures(cluster, "queues", "clients") == [1, 1, 1], "its connections to end")
    assert _figures(cluster, "queues", "requests") == [1, 1, 1], "but for the one that asks"
    assert [after - before for before, after in zip(writes, _figures(cluster, "storage", "writes"), strict=True)] == [
        pytest.approx(0, abs=5)  # members note of each other now and then that they live
    ] * 3
    assert all(node.rss_bytes - told[node.name] < 4 << 20 for node in cluster)


def _figures(cluster: Cluster, part: str, name: str) -> list[int]:
    found = []
    for node in cluster:
        with node.connect() as connection:
            connection("AUTH", PASSWORD)
            found.append(int(json.loads(connection("DYN.STATS"))[part][name]))
    return found


def bundled(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_bundle_tells_of_all_nodes_and_keeps_secrets_keys_and_values(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "bug.zip"
    told = on(cluster, "debug", "bundle", str(target), "--json")
    assert told.status == 0, told.err
    files = bundled(target.read_bytes())
    assert target.stat().st_mode & 0o077 == 0
    assert [entry["name"] for entry in json.loads(told.out)["entries"]] == list(files)
    for name in ("n1", "n2", "n3"):
        for kind in ("ring", "status", "views", "stats", "events", "transfers", "hints", "settings"):
            assert json.loads(files[f"nodes/{name}/{kind}.json"])
        assert "dyn_version:" in files[f"nodes/{name}/info.txt"]
        assert "starts; clients" in files[f"nodes/{name}/log.txt"], "its log is a file of this machine"
    assert json.loads(files["doctor.json"])["schema"] == "dyn.doctor/v1"
    assert json.loads(files["client.json"])["schema"] == "dyn.config/v1"
    assert json.loads(files["settings.json"])["environment"]["DYN_PASSWORD"] == LEFT_OUT
    everything = "\n".join(files.values())
    for secret in (PASSWORD, CLUSTER_KEY, KEY, VALUE):
        assert secret not in everything
    assert on(cluster, "debug", "bundle", str(target)).status == 9, "a file that is there is not overwritten"


def test_keys_come_only_when_they_are_asked_for_and_values_never(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "bug.zip"
    assert on(cluster, "debug", "bundle", str(target), "--keys").status == 0
    files = bundled(target.read_bytes())
    assert [key["key"] for key in json.loads(files["conflicts.json"])["keys"]] == [KEY]
    everything = "\n".join(files.values())
    for secret in (PASSWORD, CLUSTER_KEY, VALUE):
        assert secret not in everything


def test_a_bundle_can_be_made_of_what_is_there(tmp_path: Path) -> None:
    """Without a node, or beside one that says nothing, or is of another release."""
    log = tmp_path / "n1.log"
    log.write_text("one\ntwo\n")
    assert dyn("debug", "bundle", str(tmp_path / "a.zip"), "--log", str(log)).status == 0
    files = bundled((tmp_path / "a.zip").read_bytes())
    assert "127.0.0.1:1: cannot reach 127.0.0.1:1 (refused)" in files["README.txt"]
    assert files["logs/n1.log"] == "one\ntwo\n"
    with fake_node(CONFIG=[], INFO=b"") as one, fake_node({"DYN.RING": HANG}) as two:
        one.replies["DYN.RING"] = {"members": [_member("../../n1", one), _member("n2", two)]}
        told = dyn("debug", "bundle", str(tmp_path / "b.zip"), "--json", "--timeout", "0.3", node=one)
    assert [each["node"] for each in json.loads(told.out)["silent"]] == ["n2"]
    files = bundled((tmp_path / "b.zip").read_bytes())
    assert "unknown command" in files["nodes/_.._n1/views.json"]


def test_the_doctor_packs_a_bundle_too(tmp_path: Path) -> None:
    target = tmp_path / "bug.zip"
    told = dyn("doctor", "--only", "local", "--bundle", str(target))
    assert told.status == 0
    assert "README.txt" in bundled(target.read_bytes())
    assert told.out.startswith("id\tlevel")
    assert f"wrote {target}" in told.err
    again = dyn("doctor", "--only", "local", "--bundle", str(target), "-y", "--json")
    assert json.loads(again.out)["bundle"] == str(target), "one document"
    assert dyn("doctor", "--only", "local", "--bundle", str(target)).status == 9


def _member(name: str, node: FakeNode) -> dict[str, str]:
    return {"name": name, "address": node.address}


def test_what_may_be_a_key_or_a_value_is_taken_out_wherever_it_stands() -> None:
    document = {"keys": 12, "held": [{"keys": 3, "key": "a"}], "top": {"keys": ["a", "b"], "value": "v", "hash": "md5"}}
    assert without_keys(document) == {
        "keys": 12, "held": [{"keys": 3, "key": LEFT_OUT}],
        "top": {"keys": LEFT_OUT, "value": LEFT_OUT, "hash": "md5"},
    }  # fmt: skip


def test_of_a_long_log_there_are_the_last_whole_lines() -> None:
    assert last_lines(b"a\nb\n") == b"a\nb\n"
    data = b"".join(b"%05d\n" % number for number in range(100_000))
    lines = last_lines(data).split(b"\n")
    assert lines[0] == b"99800"
    assert lines[-2:] == [b"99999", b""]
