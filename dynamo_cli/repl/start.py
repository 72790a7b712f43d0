"""The shell for the terminal that there is."""

from __future__ import annotations

from pathlib import Path

from dynamo_cli.repl.session import Session


def run_on_terminal(session: Session, history: Path | None, *, vi: bool = False) -> None:
    """Read and run lines until the user leaves. `history` is the file of earlier lines, if any is kept."""
    session.settings["vi"] = vi
    if session.env.environ.get("TERM") == "dumb":
        from dynamo_cli.repl.dumb import PlainTerminal

        PlainTerminal(session).run()
    else:
        from dynamo_cli.repl.loop import Terminal

        Terminal(session, history).run()
