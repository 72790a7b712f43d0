"""Keys of the shell beside prompt_toolkit's own (`shortcuts` lists all that are worth knowing).

A Tab that is pressed before the words are there waits for them: they come from a thread, and prompt_toolkit drops a Tab
that finds the search begun and nothing found yet. Up finds lines that begin like this one, also while words are there.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

SWITCHES = {"f2": "expanded", "f3": "multiline", "f4": "vi"}
"""Keys that turn a setting."""


class ShellKeys:
    """The bindings, and the memory of a Tab that waits. `turn` turns a setting."""

    def __init__(self, buffer: Buffer, turn: Callable[[str], None]) -> None:
        self._waits_at: Document | None = None
        self._turn = turn
        self.bindings = KeyBindings()
        self.bindings.add("tab")(self._tab)
        self.bindings.add("up")(self._up)
        for key, name in SWITCHES.items():
            self.bindings.add(key)(self._switch(name))
        buffer.on_completions_changed += self._found

    def _tab(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        state = buffer.complete_state
        if state is not None and state.completions:
            buffer.complete_next()
            return
        self._waits_at = buffer.document
        buffer.start_completion()

    def _found(self, buffer: Buffer) -> None:
        """Choose the first word for the Tab that waits, unless the line is another one by now."""
        state = buffer.complete_state
        if self._waits_at is None or state is None or not state.completions:
            return
        asked, self._waits_at = self._waits_at, None
        if buffer.document == asked and state.complete_index is None:
            buffer.complete_next()

    def _up(self, event: KeyPressEvent) -> None:
        """Words that are merely offered, and of which none was chosen, do not take the key."""
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.complete_index is None:
            buffer.cancel_completion()
        buffer.auto_up(count=event.arg)

    def _switch(self, name: str) -> Callable[[KeyPressEvent], None]:
        def pressed(event: KeyPressEvent) -> None:
            self._turn(name)
            event.app.invalidate()

        return pressed
