"""What tests start does not outlive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.cluster import ROOT, eventually, free_ports
from tests.helpers.tools import need

STARTS_A_NODE = """
import sys, time
from pathlib import Path
from tests.helpers.cluster import Node
node = Node(Path(sys.argv[1]), int(sys.argv[2]), "--discover", "none").start().ready()
print(node.pid, flush=True)
while True:
    time.sleep(1)
"""


def test_a_node_dies_with_whoever_started_it(tmp_path: Path) -> None:
    """Even if that one is killed and can clean up nothing."""
    need("setpriv", package="util-linux")
    command = [sys.executable, "-c", STARTS_A_NODE, str(tmp_path), str(free_ports(1)[0])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_running(pid)
        starter.kill()
    eventually(lambda: not is_running(pid), "the node to end")


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
