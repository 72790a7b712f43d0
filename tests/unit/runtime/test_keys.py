"""Secret files: who may read them, and one key for nodes that start in the same moment."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier, Thread

import pytest

from node.core.limits import SECRET_FILE_BYTES_MAX
from node.runtime.keys import SecretFileError, default_key_file, obtain_cluster_keys, read_cluster_keys, read_password


def secret(path: Path, content: bytes = b"0123456789abcdef\n", mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refused(path: Path, *words: str) -> None:
    """Both readers refuse `path` in one sentence with these words."""
    for read in read_cluster_keys, read_password:
        with pytest.raises(SecretFileError) as caught:
            read(path)
        text = str(caught.value)
        assert all(word in text for word in (*words, str(path))) and "\n" not in text


def test_a_key_is_read_without_its_newline(tmp_path: Path) -> None:
    assert read_cluster_keys(secret(tmp_path / "key")) == (b"0123456789abcdef",)
    assert read_password(secret(tmp_path / "password", b"pw\r\n")) == b"pw"


def test_a_second_key_is_taken_too_and_a_third_is_one_too_many(tmp_path: Path) -> None:
    old, new = b"0123456789abcdef", b"a passphrase of several words"
    assert read_cluster_keys(secret(tmp_path / "two", new + b"\r\n\n  " + old + b"\n")) == (new, old)
    with pytest.raises(SecretFileError, match="holds 3 lines: the key, and at most one more"):
        read_cluster_keys(secret(tmp_path / "three", b"\n".join([old, new, old])))
    with pytest.raises(SecretFileError, match="holds a key of 3 bytes, at least 16"):
        read_cluster_keys(secret(tmp_path / "short", old + b"\nold\n"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    refused(secret(tmp_path / "key", mode=mode), "can be read by others", "chmod 600")


def test_what_is_no_secret_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "missing", "No such file")
    refused(tmp_path, "not a file")
    os.mkfifo(tmp_path / "pipe", 0o600)
    refused(tmp_path / "pipe", "not a file")
    refused(secret(tmp_path / "big", bytes(SECRET_FILE_BYTES_MAX + 1)), "over 4096 bytes")


def test_short_keys_and_empty_passwords_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="holds a key of 15 bytes, at least 16"):
        read_cluster_keys(secret(tmp_path / "key", b"0123456789abcde\n"))
    with pytest.raises(SecretFileError, match="is empty"):
        read_password(secret(tmp_path / "password", b" \n"))


def test_where_the_loopback_key_is() -> None:
    assert default_key_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/dyn/cluster.key")
    assert default_key_file({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/dyn/cluster.key")
    assert default_key_file({"HOME": "/h"}) == Path("/h/.config/dyn/cluster.key")


def test_the_first_use_makes_an_owner_only_key(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        (key,) = obtain_cluster_keys(path := tmp_path / "a" / "dyn" / "cluster.key")
    finally:
        os.umask(old)
    assert len(key) == 64 and obtain_cluster_keys(path) == (key,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["cluster.key"]


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "dyn").write_text("a file where the directory should be")
    with pytest.raises(SecretFileError, match=r"cannot make the cluster key .*--key-file"):
        obtain_cluster_keys(tmp_path / "dyn" / "cluster.key")


def test_nodes_that_start_together_read_one_key(tmp_path: Path) -> None:
    for round_ in range(20):
        path = tmp_path / str(round_) / "cluster.key"
        barrier = Barrier(8)
        keys: list[tuple[bytes, ...]] = []

        def start(path: Path = path, barrier: Barrier = barrier, keys: list[tuple[bytes, ...]] = keys) -> None:
            barrier.wait()
            keys.append(obtain_cluster_keys(path))

        threads = [Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8 and len(set(keys)) == 1 and len(list(path.parent.iterdir())) == 1


def test_processes_that_start_together_read_one_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        keys = list(pool.map(obtain_cluster_keys, [tmp_path / "dyn" / "cluster.key"] * 8))
    assert len(set(keys)) == 1
