"""One of a few things, chosen with the arrow keys or by its letter, by a person at a terminal."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

from dynamo_cli.environment import Environment


def can_choose(env: Environment) -> bool:
    """Whether a person is at a terminal that can move its cursor."""
    if not (env.can_ask and env.stdout_is_terminal) or env.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return os.isatty(env.stdin.fileno()) and os.isatty(env.stderr.fileno())
    except (io.UnsupportedOperation, ValueError):
        return False


def choose(env: Environment, question: str, options: Sequence[tuple[str, str]], last: str) -> str | None:
    """Let the user choose: the word of an option, or None for `last`, which leaves everything as it is.

    Each option is (word, what it does); its word begins with the key that chooses it. Escape is `last`. Raises
    KeyboardInterrupt for Ctrl-C.
    """
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_input
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import create_output
    from prompt_toolkit.shortcuts import choice

    leave = ""
    bindings = KeyBindings()

    def answer(key: str, word: str) -> None:
        @bindings.add(key, eager=True)
        def chosen(event: KeyPressEvent) -> None:
            event.app.exit(result=word)

    for letter, word in {word[0].lower(): word for word, _ in reversed(options)}.items():  # the first one has the key
        answer(letter, word)
        answer(letter.upper(), word)
    answer("escape", leave)
    shown = [*((word, f"{word}  {meaning}".rstrip()) for word, meaning in options), (leave, last)]
    with create_app_session(input=create_input(env.stdin), output=create_output(env.stderr)):
        found: str = choice(question, options=shown, key_bindings=bindings)
    return found or None
