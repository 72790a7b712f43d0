"""The shell on a terminal that only prints (TERM=dumb): lines in, results out, and nothing that moves."""

from __future__ import annotations

from dynamo_cli.repl.session import Session
from dynamo_cli.repl.words import is_open


class PlainTerminal:
    """Reads lines from standard input, with a prompt on standard error."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self) -> None:
        """Read and run lines until `exit` or the end of the input. Ctrl-C drops the line or the command."""
        env = self.session.env
        env.write("dyn, on a terminal that only prints: help explains, Ctrl-D leaves\n", error=True)
        while not self.session.left:
            try:
                line = self._line()
                if line is None:
                    break
                self.session.run(line)
            except KeyboardInterrupt:
                env.write("\n", error=True)

    def _line(self) -> str | None:
        env = self.session.env
        conflicts = env.contexts.conflicts
        marks = "".join(f" {mark}" for mark in self.session.marks)
        env.write(f"dyn{marks}{f' !{conflicts}' if conflicts else ''}> ", error=True)
        text = env.stdin.readline()
        while text and is_open(text):
            env.write("... ", error=True)
            more = env.stdin.readline()
            if not more:
                break
            text += more
        return text or None
