"""A dyn node: what one member of the cluster knows, decides, stores and says (see ARCHITECTURE.md beside this file)."""

from __future__ import annotations

__version__ = "0.1.0"
