"""The shell on a terminal: prompt_toolkit around `Session`. What decides is elsewhere, with tests of its own."""

from __future__ import annotations

import decimal  # noqa: F401  # else a Ctrl-C while a command imports it has it say so when it is imported again
import time
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from dynamo_cli import store
from dynamo_cli.errors import CliError
from dynamo_cli.render.plain import show
from dynamo_cli.repl.complete import TYPABLE, ShellCompleter, Sources, files_like
from dynamo_cli.repl.highlight import ShellLexer
from dynamo_cli.repl.history import CarefulSuggest, open_history
from dynamo_cli.repl.keys import PatientTab
from dynamo_cli.repl.parse import is_open
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.toolbar import prompt, toolbar
from dynamo_cli.repl.watch import Watcher

KEYS_S = 0.3
"""How long a Tab may ask the cluster for keys."""
KEYS_MAX = 50
TOOLBAR_ROWS_MIN = 10
"""A smaller terminal has no room for a toolbar."""
WATCH_S = 1.5
"""Deadline of the toolbar's question."""


class Terminal:
    """One shell on a terminal. `keyboard` and `screen` are prompt_toolkit's, for tests without one."""

    def __init__(
        self, session: Session, history: Path | None, *, keyboard: Input | None = None, screen: Output | None = None
    ) -> None:
        self.session = session
        self.env = session.env
        self.watcher = Watcher(lambda: self.env.fresh_client(WATCH_S), self._redraw)
        watcher = self.watcher
        sources = Sources(
            self._keys,
            lambda: watcher.state.addresses,
            lambda: map(show, watcher.state.names),
            session,
            files_like,
        )
        self.prompts: PromptSession[str] = PromptSession(
            self._prompt,
            completer=ThreadedCompleter(ShellCompleter(sources)),
            complete_while_typing=True,
            auto_suggest=CarefulSuggest(),
            history=open_history(history),
            lexer=ShellLexer(lambda: [name for verb in session.verbs for name in (verb.name, *verb.also)]),
            bottom_toolbar=self._toolbar,
            multiline=Condition(lambda: is_open(get_app().current_buffer.text)),
            prompt_continuation="... ",
            enable_open_in_editor=True,
            enable_suspend=True,
            input=keyboard,
            output=screen,
        )
        self.prompts.key_bindings = PatientTab(self.prompts.default_buffer).bindings

    def run(self) -> None:
        """Read and run lines until `exit` or Ctrl-D. Ctrl-C drops the line or the command, never the shell."""
        self.watcher.look()
        self.watcher.start()
        self._welcome()
        try:
            while not self.session.left:
                try:
                    text = self.prompts.prompt()
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    break
                for line in self._agreed(text):
                    self.session.run(line)
        finally:
            self.watcher.stop()

    def _welcome(self) -> None:
        state = self.watcher.state
        where = f"{state.up} of {state.total} nodes up" if state.document else f"no node answers: {show(state.why)}"
        self.env.write(f"dyn · {where} · Tab completes, help explains, Ctrl-D leaves\n")

    def _agreed(self, text: str) -> Iterable[str]:
        """The lines to run: one, or several that were pasted and confirmed."""
        lines = _commands(text)
        if len(lines) <= 1:
            return [text]
        self.env.write(f"{len(lines)} commands were pasted. Run them one by one? [y/N] ", error=True)
        return lines if self.env.stdin.readline().strip().lower() in ("y", "yes") else []

    def _redraw(self) -> None:
        if self.prompts.app.is_running:
            self.prompts.app.invalidate()

    def _prompt(self) -> StyleAndTextTuples:
        return prompt(self.watcher.state, self.env.contexts)

    def _toolbar(self) -> str:
        size = get_app().output.get_size()
        if size.rows < TOOLBAR_ROWS_MIN:
            return ""
        return toolbar(self.watcher.state, self.env.contexts, self.env.now_s(), size.columns)

    def _keys(self, word: str) -> list[str]:
        """Keys seen in this shell, then the cluster's: what begins with `word` and needs no quotes."""
        seen = [key.decode("utf-8", "replace") for key in reversed(self.env.contexts.keys())]
        found = [key for key in seen if key.startswith(word) and TYPABLE.fullmatch(key)]
        client = self.env.fresh_client(KEYS_S)
        deadline = time.monotonic() + KEYS_S
        try:
            for page in store.keys(client, word.encode(), page=KEYS_MAX):  # a page may be empty and not the last
                found += [name for key in page if TYPABLE.fullmatch(name := key.decode("utf-8", "replace"))]
                if len(found) >= KEYS_MAX or time.monotonic() > deadline:
                    break
        except CliError:
            pass  # no node answers in time: what was seen must do
        finally:
            client.close()
        return list(dict.fromkeys(found))


def _commands(text: str) -> list[str]:
    """The complete commands in a text of several lines."""
    commands, begun = [], ""
    for line in text.splitlines():
        begun = f"{begun}\n{line}" if begun else line
        if not is_open(begun):
            if begun.strip():
                commands.append(begun)
            begun = ""
    return [*commands, begun] if begun else commands
