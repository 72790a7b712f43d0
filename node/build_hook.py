"""How a wheel is built: the pure modules are compiled to machine code where that can be done (hatchling calls this).

`core`, `wire` and `engine` are typed Python without tricks, and mypyc makes C of such. What comes out decides exactly
what the source decides, which lies beside it in the wheel and is what an editable install, and pytest, run.
tests/wheel/test_compiled.py holds the two to each other. This file itself is not shipped.

    DYN_BUILD unset       compile if there is a C compiler; if that fails, say so in one line and ship plain Python
    DYN_BUILD=compiled    compile, or fail; and the simulator, too, for those who run many seeds
    DYN_BUILD=pure        plain Python

mypyc runs in a process of its own, on a copy: it ends the process on a type error, and it leaves files behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODE = "DYN_BUILD"
AUTO, COMPILED, PURE = "", "compiled", "pure"

GROUPS = {
    "dyn_values": [
        "node/core/*.py",
        "node/wire/*.py",
        "node/storage/recent.py",
        "node/storage/records.py",
        "node/storage/tables.py",
    ],
    "dyn_engine": ["node/engine/*.py"],
    "dyn_sim": ["node/sim/*.py"],
}
"""What is compiled, by the library it goes into. Each library is one C file, so that two processors share the work."""

ON_DEMAND = {"dyn_sim"}
"""… if a compiled build is asked for: seeds take half the time, and no node gains by it."""

INTERPRETED = {
    "node/core/cluster.py": "msgspec builds its named tuples from bytes",
    "node/core/row.py": "msgspec builds its named tuples from bytes",
    "node/engine/events.py": "structs",
    "node/sim/__main__.py": "is run, not imported",
    "node/wire/change_messages.py": "structs",
    "node/wire/handshake.py": "structs",
    "node/wire/link.py": "structs",
    "node/wire/messages.py": "structs",
    "node/wire/requests.py": "structs",
    "node/wire/traced.py": "structs",
}
"""What is left out, and why: msgspec makes instances in its own way, which asks for a class as Python makes it."""

BUILD_NEEDS = ["mypy>=1.18", "setuptools>=65", "msgspec>=0.20", "hiredis>=3.2"]
"""For compiling alone. (The last two are imported by what is compiled: their types are wanted.)"""


class Hook(BuildHookInterface[BuilderConfig]):
    """hatchling's interface: what to install beforehand, and what to add to the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Nothing is fetched for a build that compiles nothing."""
        return BUILD_NEEDS if wanted(os.environ) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a scratch folder, and have the libraries packed."""
        if version == "editable" or not wanted(os.environ):
            return
        self._scratch = Path(tempfile.mkdtemp(prefix="dyn-build-"))
        try:
            libraries = compile_in(Path(self.root), self._scratch)
        except BuildFailed as error:
            if os.environ.get(MODE, AUTO) == COMPILED:
                raise
            sys.stderr.write(f"dyn: not compiled, plain Python is installed, which is slower ({error})\n")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(path): path.relative_to(self._scratch).as_posix() for path in libraries}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Everything is packed."""
        scratch = getattr(self, "_scratch", None)
        if scratch is not None:
            shutil.rmtree(scratch)


class BuildFailed(Exception):
    """Compiling did not work: one line that says where it stopped."""


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether to compile, or at least to try."""
    mode = environ.get(MODE, AUTO)
    if mode not in (AUTO, COMPILED, PURE):
        raise ValueError(f"{MODE} is {mode!r}: not {COMPILED}, not {PURE}")
    return mode == COMPILED or (mode == AUTO and has_compiler(environ))


def has_compiler(environ: Mapping[str, str]) -> bool:
    """Whether there is a C compiler, and the header files of this Python."""
    command = (environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(command) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


def modules(root: Path, mode: str) -> dict[str, list[str]]:
    """The files that are compiled, by library; an empty `__init__` is not worth it."""
    return {
        group: [
            name
            for pattern in patterns
            for path in sorted(root.glob(pattern))
            if (name := path.relative_to(root).as_posix()) not in INTERPRETED and path.stat().st_size
        ]
        for group, patterns in GROUPS.items()
        if mode == COMPILED or group not in ON_DEMAND
    }


def compile_in(root: Path, scratch: Path) -> list[Path]:
    """Compile a copy of `root` in `scratch`; return the libraries, in the places where they belong."""
    shutil.copytree(root / "node", scratch / "node", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, str(Path(__file__).resolve())]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    libraries = sorted(scratch.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
    libraries = [path for path in libraries if "build" not in path.relative_to(scratch).parts]
    if done.returncode or not libraries:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no word from the compiler"]
        if os.environ.get(MODE) == COMPILED:
            sys.stderr.write(done.stdout + done.stderr)
        raise BuildFailed(words[-1])
    return libraries


def compile_here() -> None:
    """What the process of its own does, in its working directory."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    groups = modules(Path.cwd(), os.environ.get(MODE, AUTO))
    files = [name for group in groups.values() for name in group]
    extensions = mypycify(
        ["--config-file=", *files],
        opt_level="1",  # 2 and 3 take up to twice as long to build, and make nothing measurably faster
        debug_level="0",
        separate=[(names, group) for group, names in groups.items()],
        target_dir="build",
    )
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.inplace = True
    command.parallel = os.cpu_count() or 1
    command.build_temp = "build"
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    compile_here()
