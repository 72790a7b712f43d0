"""Keys of the shell beside prompt_toolkit's own: a Tab that is pressed before the words are there waits for them.

Words come from a thread, and keys from the cluster. prompt_toolkit drops a Tab that finds the search begun and nothing
found yet; whoever types quickly would have to press it again.
"""

from __future__ import annotations

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


class PatientTab:
    """The binding of Tab, and the memory of one that waits."""

    def __init__(self, buffer: Buffer) -> None:
        self._waits_at: Document | None = None
        self.bindings = KeyBindings()
        self.bindings.add("tab")(self._pressed)
        buffer.on_completions_changed += self._found

    def _pressed(self, event: KeyPressEvent) -> None:
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
