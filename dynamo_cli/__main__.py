"""`dyn`: the version, and the words that completions ask for, are answered before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `dyn`; the result is the exit status."""
    argv = sys.argv[1:]
    if argv in (["--version"], ["version"]):
        from node import __version__

        sys.stdout.write(f"dyn {__version__}\n")
        return 0
    if argv[:1] == ["__complete"]:
        from dynamo_cli.complete import complete

        return complete(argv[1:])
    try:
        from dynamo_cli.app import run
        from dynamo_cli.environment import Environment

        return run(argv, Environment())
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
