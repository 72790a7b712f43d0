"""Wheels of this checkout, and what is in them unpacked: for tests of what is shipped, without the network.

pytest itself imports the checkout, where nothing is compiled. What was compiled is in an installation that is no
editable one, which is this checkout's (tests/conftest.py refuses others); where there is none, a wheel is built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")
"""How a compiled module of this Python ends."""


def build(folder: Path, **environ: str) -> tuple[Path, str]:
    """Build a wheel in `folder` from a copy of what is shipped; return its path, and what was said on stderr."""
    copy = folder / "dyn"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.db*")
    for name in ("node", "dynamo_cli", "completions"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "dist").mkdir()
    code = "from hatchling.build import build_wheel; print(build_wheel('dist'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=copy, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "dist" / done.stdout.split()[-1], done.stderr


def compiled_tree(folder: Path, *, simulator: bool = False) -> Path:
    """The folder from which a compiled build of this checkout is imported; one is built in `folder` if need be.

    `simulator`: of that, too, which an installation has compiled only if it was asked for.
    """
    wanted = "node/sim/" if simulator else "node/engine/"
    for file in distribution("dyn-kv").files or []:
        if str(file).startswith(wanted) and str(file).endswith(SUFFIX):
            return Path(str(distribution("dyn-kv").locate_file("")))
    path, _ = build(folder, DYN_BUILD="compiled")
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder / "tree")
    return folder / "tree"
