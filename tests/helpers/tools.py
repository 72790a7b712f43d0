"""Programs that tests use and Python does not bring: absent, the test skips and names the Debian package.

With DYN_REQUIRE_ALL=1 every skip is a failure (tests/conftest.py), so that a machine which is meant to have everything
cannot pass by testing nothing.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest

REASON = re.compile(r"needs (?P<tool>\S+) \(apt-get install (?P<package>\S+)\)")


def need(tool: str, *, package: str) -> str:
    """Return the path of `tool`; absent, skip the test (or the module, at its top), naming its Debian `package`."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"needs {tool} (apt-get install {package})", allow_module_level=True)
    return path


def require_all() -> bool:
    """Whether this run may not skip anything."""
    return os.environ.get("DYN_REQUIRE_ALL", "") not in ("", "0")
