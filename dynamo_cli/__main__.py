"""`dyn`: the version is answered before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `dyn`; the result is the exit status."""
    if sys.argv[1:] == ["--version"]:
        from node import __version__

        sys.stdout.write(f"dyn {__version__}\n")
        return 0
    sys.stderr.write("dyn: nothing here yet\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
