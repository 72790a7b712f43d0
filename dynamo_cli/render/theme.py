"""The few styles of all screens: the 16 colours of the terminal's own palette, never the only carrier of a meaning."""

from __future__ import annotations

from rich.theme import Theme

THEME = Theme(
    {
        "label": "bold",
        "value": "default",
        "clock": "cyan",
        "quiet": "bright_black",
        "good": "green",
        "warn": "yellow",
        "bad": "bold red",
        "command": "bold",
        "heading": "bright_black",
    }
)

ASCII = str.maketrans("…·∥∪→─│┬└┐┘├✓✗×−–", "~-|u>-|+++++" + "+xx--")
"""What our screens draw beyond ASCII, and what stands for it where only ASCII can be shown: as wide as it was."""
