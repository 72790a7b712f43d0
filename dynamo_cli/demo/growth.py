"""The scene of the tour in which a node joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.demo.basics import CART
from dynamo_cli.demo.showing import done_line, started_line
from dynamo_cli.errors import CliError
from dynamo_cli.render.transfers import progress_line

if TYPE_CHECKING:
    from dynamo_cli.demo.tour import Tour

NODES_MIN = 5
"""A smaller demo was made small on purpose."""
TAKEN = "PORT"
"""The code of the error for a port that somebody else has."""


class Growth:
    """A node that joins."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.stage = tour.stage

    def join(self) -> None:
        """One process more takes over its share, and nothing else moves."""
        stage, tour = self.stage, self.tour
        stage.scene(
            "one node more",
            "A new process asks for a seat. A plan says which partitions it takes over and from whom; the data is "
            "copied while the cluster serves, and only when the newcomer holds all of it do its answers count.",
        )
        stage.read(
            f"Partitions are fixed, so a change moves whole ones: one in {len(tour.cluster) + 1} goes to the newcomer, "
            "some from everybody, and no key moves between two nodes that were there before. Each such ring is an "
            "epoch; dyn ring diff compares two of them. What leaves and what is dead is planned the same way: "
            "dyn cluster plan leave n2 says what that would move."
        )
        before = store.document(stage.client(tour.where[0]), "RING")
        stage.act("dyn demo add")
        told = ""
        try:
            for step in tour.demo.steps("add", None):
                if step["step"] == "moving":
                    told = progress_line(step["transfers"])
                elif step["step"] == "started":
                    stage.env.write(f"{started_line(step)}\n")
                elif step["step"] == "done":
                    stage.env.write("".join(f"{line}\n" for line in (told, done_line(step["document"])) if line))
        except CliError as error:
            if error.code != TAKEN:
                raise
            stage.say(f"There is no room here for one more: {error.message}. This is left out.")
            return
        new = tour.cluster.nodes[-1]
        tour.await_state(tour.where[0], new, "up")
        after = store.document(stage.client(tour.where[0]), "RING")
        stage.env.write("\n")
        moved = [p for p, (old, now) in enumerate(zip(before["owners"], after["owners"], strict=True)) if old != now]
        to = {after["owners"][p] for p in moved}
        stage.check(to == {new.name}, f"{len(moved)} partitions have another primary, and it is {new.name}", to)
        counts = [after["owners"].count(node.name) for node in tour.cluster]
        fair = max(counts) - min(counts) <= 1
        stage.check(
            fair, f"each of {len(counts)} nodes is primary of {min(counts)} or {max(counts)} partitions", counts
        )
        stage.dyn(f"-n :{new.place.port} get {CART.decode()}")
        tour.everywhere(CART, [tour.values[CART]])
