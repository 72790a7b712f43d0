"""The speed of one store can be measured; how fast it is no test says."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.wheel import ROOT


def test_each_size_of_the_group_has_its_line() -> None:
    words = ("--keys", "500", "--rows", "64", "--groups", "1", "16", "--durability", "memory", "--busy")
    command = [sys.executable, "-m", "tests.campaigns.disk_speed", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, names, *lines = done.stdout.splitlines()
    assert head.startswith("pages of 2048 bytes")
    figures = [[float(word) for word in line.split()] for line in lines]
    assert [line[0] for line in figures] == [1, 16]
    assert names.split() == ["group", "rows/s", "cpu", "us", "p50", "ms", "p99", "ms", "log", "B", "stall", "ms"]
    assert [len(line) for line in figures] == [7, 7]
    assert all(line[1] > 0 and line[2] > 0 and line[5] > 100 for line in figures), "rows, CPU, and log of each row"
