"""The shell on a terminal: prompt_toolkit around `Session`. What decides is elsewhere, with tests of its own."""

from __future__ import annotations

import decimal  # noqa: F401  # else a Ctrl-C while a command imports it has it say so when it is imported again
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, get_app, run_in_terminal
from prompt_toolkit.auto_suggest import ConditionalAutoSuggest, ThreadedAutoSuggest
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style

from dynamo_cli import settings
from dynamo_cli.catalog import catalog
from dynamo_cli.client import Client
from dynamo_cli.contexts import names
from dynamo_cli.crash import crash
from dynamo_cli.errors import CliError
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.repl.complete import ShellCompleter, Sources, files_like
from dynamo_cli.repl.finder import KeyFinder
from dynamo_cli.repl.highlight import ShellLexer
from dynamo_cli.repl.hints import hint
from dynamo_cli.repl.history import CarefulSuggest, open_history
from dynamo_cli.repl.keys import ShellKeys
from dynamo_cli.repl.pasted import run_typed
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.shortcuts import Keyboard
from dynamo_cli.repl.toolbar import prompt, took, toolbar
from dynamo_cli.repl.watch import Watcher
from dynamo_cli.repl.words import commands_in, is_open

MENU_ROWS = 8
"""Lines below the prompt that the menu of completions has for itself."""
TOOLBAR_ROWS_MIN = 10
"""A smaller terminal has no room for a toolbar."""
WATCH_S = 1.5
"""Deadline of the toolbar's question."""
WELCOME_S = 0.3
"""How long the first prompt waits for the cluster: a node that is silent does not keep anybody from typing."""
AGAIN_S = 1.0
"""Ctrl-C twice within this time means: how do I get out of here?"""
LOAD_AFTER_S = 0.05
BUGS_MAX = 3
"""Prompts in a row that may fail."""
WAITING_MAX = 5
"""Events kept while a command runs: the latest."""

MODES = ("trace", "vi", "multiline", "expanded", "timing")
"""Settings that the toolbar names when they are on."""
STYLE = Style.from_dict(
    {"quiet": "ansigray", "fit": "bold underline", "bottom-toolbar": "noreverse", "state": "reverse"}
)


class Saved(NamedTuple):
    """What files say that is shown at the prompt."""

    aliases: Mapping[str, str] = MappingProxyType({})
    context: str | None = None
    color: str = ""
    protected: bool = False


class Terminal:
    """One shell on a terminal. `keyboard` and `screen` are prompt_toolkit's, for tests without one."""

    def __init__(
        self, session: Session, history: Path | None, *, keyboard: Input | None = None, screen: Output | None = None
    ) -> None:
        self.session = session
        self.env = session.env
        self._client_of = self.env.background()
        self.watcher = Watcher(lambda: self._client(WATCH_S), self._heard)
        watcher, switches = self.watcher, session.settings
        self.keyboard = Keyboard()
        session.provide(self.keyboard)
        self._waiting: deque[str] = deque(maxlen=WAITING_MAX)
        self._title = ""
        self._going_on = False
        self._interrupted_at_s: float | None = None
        self.finder = KeyFinder(self._client, self.env.contexts.keys, self._found_late)
        self.saved = Saved()
        sources = Sources(
            self._keys,
            lambda: watcher.state.addresses,
            lambda: map(show, watcher.state.names),
            session,
            files_like,
            self._about,
            lambda: self.saved.aliases,
            lambda: names(self.env.environ),
        )
        self.prompts: PromptSession[str] = PromptSession(
            self._prompt,
            completer=ThreadedCompleter(ShellCompleter(sources)),
            complete_while_typing=True,
            auto_suggest=ConditionalAutoSuggest(
                ThreadedAutoSuggest(CarefulSuggest()), Condition(lambda: switches["suggest"])
            ),
            history=open_history(history),
            lexer=ShellLexer(self._known),
            bottom_toolbar=self._toolbar,
            rprompt=self._took,
            multiline=Condition(self._goes_on),
            prompt_continuation="... ",
            enable_open_in_editor=True,
            enable_suspend=True,
            enable_system_prompt=Condition(lambda: switches["pipes"]),
            cursor=ModalCursorShapeConfig(),
            style=STYLE,
            input=keyboard,
            output=screen,
        )
        self.prompts.app.before_render += self._fit
        self.prompts.app.renderer.cpr_not_supported_callback = None  # what does not move needs no warning
        buffer = self.prompts.default_buffer
        # Not by the session's own switch, which would turn off the completion while typing.
        buffer.enable_history_search = Condition(lambda: True)
        self.prompts.key_bindings = ShellKeys(buffer, self._turn).bindings

    def run(self) -> None:
        """Read and run lines until `exit` or Ctrl-D. Ctrl-C drops the line or the command, never the shell."""
        self.watcher.start()
        self.watcher.wait(WELCOME_S)
        self.env.write(f"dyn · {self.watcher.state.words} · Tab completes, help explains, Ctrl-D leaves\n")
        try:
            while not self.session.left:
                try:
                    self._tell_what_waited()
                    self._set_mode()
                    self._read_saved()
                    line, self.keyboard.next_line = self.keyboard.next_line, ""
                    text = self._typed(line)
                    self.keyboard.typed.append(text)
                    catalog()  # if it is being loaded: commands load their part of it, too
                    run_typed(self.session, text, self._ask)
                    self.finder.forget()
                except KeyboardInterrupt:
                    self._interrupted()
                except EOFError:
                    break
        finally:
            self.watcher.stop()
            self._set_title(over=True)

    def _typed(self, line: str) -> str:
        """What is typed at the prompt, which begins with a line. Raises KeyboardInterrupt and EOFError.

        What goes wrong within the prompt, such as keys that no keyboard has, costs the line and not the shell, unless
        it goes wrong each time.
        """
        for left in reversed(range(BUGS_MAX)):
            self.prompts.layout.focus(self.prompts.default_buffer)  # not the search that the last line was taken from
            try:
                return self.prompts.prompt(default=line, pre_run=self._begin, set_exception_handler=False)
            except Exception as error:
                if not left or isinstance(error, EOFError):
                    raise
                self.env.write(f"{self.env.program}: {show(crash(error, self.env).line())}\n", error=True)
                line = ""
        raise AssertionError("the last try returns or raises")

    def _begin(self) -> None:
        """Have what goes wrong within the prompt end it: prompt_toolkit would show it, and wait for a key."""
        app = self.prompts.app
        assert app.loop is not None, "it runs"
        app.loop.set_exception_handler(lambda loop, context: self._broken(context.get("exception")))
        # The command table takes a fifth of a second to load: after the prompt is there, before a key is pressed.
        app.loop.call_later(LOAD_AFTER_S, Thread(target=catalog, name="catalog", daemon=True).start)

    def _broken(self, error: BaseException | None) -> None:
        if isinstance(error, Exception) and self.prompts.app.is_running:
            with suppress(Exception):  # it ends already
                self.prompts.app.exit(exception=error)

    def _ask(self, question: str) -> str:
        self.env.write(question, error=True)
        return self.env.stdin.readline().strip().lower()

    def _interrupted(self) -> None:
        """Say how to leave to who presses Ctrl-C again at an empty line."""
        now_s, before_s = self.env.now_s(), self._interrupted_at_s
        empty = not self.prompts.default_buffer.text
        self._interrupted_at_s = now_s if empty else None
        if empty and before_s is not None and now_s - before_s < AGAIN_S:
            self.env.write("Ctrl-D leaves\n", error=True)

    # What happens meanwhile ---------------------------------------------------------------------------

    def _heard(self, told: list[str]) -> None:
        """Show what happened above the prompt, or keep it until there is one. Called by the watcher's thread."""
        if told and self.session.settings["events"]:
            self._waiting.append(f"* {time.strftime('%H:%M:%S')}  {'; '.join(told)}")
        if self._waiting:
            self._at_prompt(self._tell_above)
        self._at_prompt(self._set_title)
        if self.prompts.app.is_running:
            self.prompts.app.invalidate()

    def _at_prompt(self, do: Callable[[], None]) -> None:
        """Have something done by the prompt, from another thread; nothing if there is none."""
        app = self.prompts.app
        if app.is_running and app.loop is not None:
            with suppress(RuntimeError):  # it has ended just now
                app.loop.call_soon_threadsafe(do, context=app.context)

    def _found_late(self) -> None:
        self._at_prompt(self._complete_again)

    def _complete_again(self) -> None:
        """Offer keys that came later than a completion waits for them, if the line is still without any."""
        buffer = self.prompts.default_buffer
        if buffer.text and (buffer.complete_state is None or not buffer.complete_state.completions):
            buffer.start_completion()

    def _tell_above(self) -> None:
        run_in_terminal(self._tell_what_waited)

    def _set_title(self, *, over: bool = False) -> None:
        """Have the window's title say which cluster this is, and how it is; nothing when it is `over`."""
        state = self.watcher.state
        name = show(state.document["cluster"]) if state.document else ""
        title = f"dyn {name} {state.up}/{state.total}" if name and self.session.settings["title"] and not over else ""
        if title != self._title:
            self._title = title
            self.prompts.output.set_title(title)
            self.prompts.output.flush()

    def _tell_what_waited(self) -> None:
        while self._waiting:
            line = shortened(self._waiting.popleft(), self.env.columns(error=True))
            self.env.write(f"{line}\n", error=True)

    # Settings, prompt and toolbar ---------------------------------------------------------------------

    def _turn(self, name: str) -> None:
        """Turn a setting to its other side, by a key."""
        self.session.settings[name] = not self.session.settings[name]
        self._set_mode()

    def _set_mode(self) -> None:
        self.prompts.editing_mode = EditingMode.VI if self.session.settings["vi"] else EditingMode.EMACS

    def _read_saved(self) -> None:
        """What files say that the prompt shows: read before it, never while somebody types."""
        try:
            color = settings.value(self.env.layers, "prompt-color") or ""
            self._client_of = self.env.background()
            self.saved = Saved(self.env.aliases, self.env.context_name, color, self.env.protected)
        except CliError as error:
            self.env.write(f"{self.env.program}: {show(error.line())}\n", error=True)

    def _client(self, timeout_s: float) -> Client:
        """A client of what was in force when the prompt began, for the threads."""
        return self._client_of(timeout_s)

    def _known(self) -> list[str]:
        verbs = [f"\\{name}" for verb in self.session.verbs for name in (verb.name, *verb.also)]
        return [*verbs, *self.saved.aliases]

    def _goes_on(self) -> bool:
        """Whether Enter begins another line. A search begins and ends with the same answer, whatever it finds."""
        if not self.prompts.layout.is_searching:
            self._going_on = self.session.settings["multiline"] or is_open(self.prompts.default_buffer.text)
        return self._going_on

    def _prompt(self) -> StyleAndTextTuples:
        return prompt(self.watcher.state, self.env.contexts, self.session.marks, self.saved.color)

    def _took(self) -> StyleAndTextTuples:
        shown = self.session.settings["rprompt"]
        return took(self.session.took_s if shown else None, get_app().output.get_size().columns)

    def _fit(self, app: Application[Any]) -> None:
        """Keep no more lines free for the menu of completions than a low terminal has."""
        rows = app.output.get_size().rows
        self.prompts.reserve_space_for_menu = min(MENU_ROWS, max(0, rows - MENU_ROWS // 2))

    def _toolbar(self) -> StyleAndTextTuples:
        size = get_app().output.get_size()
        if size.rows < TOOLBAR_ROWS_MIN or not self.session.settings["toolbar"]:
            return []
        typed = commands_in(get_app().current_buffer.document.text_before_cursor)
        about = hint(typed[-1] if typed else "", self.session.verbs, size.columns, self.saved.aliases)
        state = toolbar(self.watcher.state, self.env.contexts, self.env.now_s(), size.columns, self._modes())
        return [*about, ("", "\n" if about else ""), ("class:state", state.ljust(size.columns))]

    def _modes(self) -> list[str]:
        """The settings that are not as they began, in a word each."""
        on = [name for name in MODES if self.session.settings[name]]
        on += ["read-only"] * self.session.read_only + ["protected"] * self.saved.protected
        return [*([f"context {show(self.saved.context)}"] if self.saved.context else []), *on]

    def _keys(self, word: str) -> list[str]:
        """Keys that may complete a word, as text; those that are not UTF-8 cannot be typed."""
        found = self.finder.find(word.encode("utf-8", "surrogateescape"))
        return [key.decode() for key in found if _is_text(key)]

    def _about(self, key: str) -> str:
        """What is known of a key, beside its completion."""
        known = self.env.contexts.recall(key.encode())
        if known is None:
            return "key"
        live = len(known[0].live)
        seen = f"{live} siblings" if live > 1 else "deleted" if not live else "key"
        return f"{seen}, read {self.env.now_s() - known[1]:.0f} s ago"


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
