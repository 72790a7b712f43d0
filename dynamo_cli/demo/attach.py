"""The verbs of a demo in a shell that was opened on its nodes from elsewhere, for as long as it speaks to them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from dynamo_cli.demo.finding import listed_with
from dynamo_cli.errors import CliError

if TYPE_CHECKING:
    from dynamo_cli.demo.facility import Demo
    from dynamo_cli.repl.session import Session


class Attached:
    """Gives a session the verbs of the demo that it speaks to, and takes them back when it speaks to another cluster.

    `watched`: the prompt says what is broken, and a node that crashes is told; both are looked at now and then.
    """

    def __init__(self, session: Session, *, watched: bool) -> None:
        self._session = session
        self._watched = watched
        self._close: Callable[[], None] = lambda: None
        session.moved = self.look

    def look(self) -> str:
        """Look whose nodes these are; the name of the demo, "" if they are of none that takes orders."""
        self.close()
        env = self._session.env
        with suppress(CliError):
            addresses = env.asked()
            entry = listed_with(env.directory("state"), addresses)
            if entry is not None:
                from dynamo_cli.demo.elsewhere import Elsewhere
                from dynamo_cli.demo.verbs import Demo  # the verbs with it

                cluster = Elsewhere(entry.folder)
                cluster.look()
                if set(addresses) <= {node.place.address for node in cluster}:
                    self._give(Demo.elsewhere(cluster))
                    return entry.name
        return ""

    def _give(self, demo: Demo) -> None:
        from dynamo_cli.demo.crashes import Crashes, above_the_prompt

        self._session.provide(demo)
        crashes = Crashes(demo.cluster, above_the_prompt(self._session.env)) if self._watched else None
        if crashes is not None:
            demo.faults.start()  # which looks at the processes, too
            crashes.start()

        def close() -> None:
            demo.faults.stop()
            if crashes is not None:
                crashes.stop()
            self._session.withdraw(demo)

        self._close = close

    def close(self) -> None:
        """Take them back."""
        self._close()
        self._close = lambda: None
