"""Who reads the tour at a terminal: types each line, or has it typed by Enter, and goes on when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_cli.environment import Environment

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPressEvent
    from prompt_toolkit.shortcuts import PromptSession

LEAVING = ("q", "quit", "exit", "\\q")


class Left(Exception):
    """The reader has had enough, for now."""


class Reader:
    """A person at a terminal."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._suggested = ""
        self._session: PromptSession[str] | None = None

    def line(self, prompt: str, suggested: str) -> str:
        """The line that was typed at a prompt; Enter alone types what is suggested. Raises Left."""
        if self._env.environ.get("TERM") == "dumb":
            self._env.write(f"{suggested}\n{prompt}")
            answer = self._env.stdin.readline()
            typed = answer.strip() or suggested if answer else "q"
        else:
            self._suggested = suggested
            typed = self._prompted(prompt).strip()
        if typed.lower() in LEAVING:
            raise Left
        return typed

    def goes_on(self) -> None:
        """Wait until what is on the screen has been read. Raises Left."""
        self._env.write("\n[Enter] goes on, q leaves the tour ")
        answer = self._env.stdin.readline()
        if not answer or answer.strip().lower() in LEAVING:
            raise Left

    def _prompted(self, prompt: str) -> str:
        if self._session is None:
            self._session = self._made()
        try:
            return self._session.prompt(prompt, placeholder=[("ansibrightblack", self._suggested)])
        except (EOFError, KeyboardInterrupt):
            raise Left from None

    def _made(self) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.key_binding import KeyBindings

        bindings = KeyBindings()

        @bindings.add("enter")
        def enter(event: KeyPressEvent) -> None:
            """Type what is suggested, where nothing was."""
            if not event.current_buffer.text:
                event.current_buffer.insert_text(self._suggested)
            event.current_buffer.validate_and_handle()

        return PromptSession(key_bindings=bindings)
