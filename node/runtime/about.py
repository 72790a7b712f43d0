"""What a node says about itself on its ports: INFO, CONFIG GET, /metrics. Reads everybody's state, changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from node import __version__
from node.core.ids import NodeId
from node.core.limits import PARTITIONS
from node.runtime.site import Site
from node.runtime.sockets import join_address
from node.storage.backup import Source
from node.wire.replies import ErrorReply, Value
from node.wire.versions import NEWEST, OLDEST

if TYPE_CHECKING:
    from node.runtime.measures import Measures
    from node.runtime.metrics import Standing, Surroundings
    from node.runtime.server import Server


class About:
    """The facts of one node, for the client port (`facts.ServerFacts`) and the HTTP port."""

    version = __version__

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def name(self) -> str:
        """The node's name."""
        return self._server.config.name

    @property
    def measures(self) -> Measures:
        """What the node measures of itself."""
        return self._server.measures

    def names(self) -> Mapping[int, str]:
        """Node names by dot epoch."""
        return self._server.node.cluster.names_by_epoch

    def info(self) -> Mapping[str, Mapping[str, object]]:
        """Our sections of INFO."""
        server = self._server
        view = server.node.view()
        config = server.config
        figures = server.measures.figures()
        return {
            "dyn": {
                "node": config.name,
                "node_id": config.id,
                "cluster": config.cluster,
                "cluster_id": view.cluster_id,
                "seated": int(view.seated),
                "members": view.members,
                "peers_up": server.peers_up,
                "durability": server.settings.durability,
                "tls": int(server.settings.tls_cert is not None),
                "tls_ends_at": "" if server.tls is None else int(server.tls.expires_at),
                "wire_newest": NEWEST,
                "wire_oldest": OLDEST,
                "rejected_tls_peers": server.transport.tls_refusals,
                "http_port": config.http_port,
                "peer_port": config.peer_port,
            },
            "server": {"tcp_port": config.port, "process_id": os.getpid()},
            "memory": {"used_memory_rss": figures["rss_bytes"]},
            "persistence": {"loading": 0, "aof_enabled": 1, "siblings": figures["siblings"]},
        }

    def config(self) -> Mapping[str, str]:
        """The settings, as CONFIG GET shows them: none of them is a secret."""
        settings = self._server.settings
        shown = {
            name.replace("_", "-"): value
            for name, value in settings._asdict().items()
            if name not in ("key", "password", "nrw", "join", "origins")
        }
        shown["name"] = self._server.config.name
        ring = self._server.node.cluster.ring
        shown["partitions"] = ring.partitions if ring is not None else settings.partitions or PARTITIONS
        shown["nrw"] = "/".join(map(str, settings.nrw))
        shown["join"] = ",".join(settings.join)
        shown["origins"] = json.dumps(dict(settings.origins))
        return {name: "" if value is None else str(value) for name, value in shown.items()}

    def keys(self) -> int:
        """Rows of this node."""
        return self._server.store.totals().rows

    def back_up(self, target: Path, answer: Callable[[Value], None]) -> None:
        """Copy the store into a file, unless it may lack what its seat acknowledged: that is no backup."""
        server = self._server
        cluster, config, backups = server.node.cluster, server.config, server.store.backups
        if backups is None or not cluster.seated:
            answer(ErrorReply("ERR", f"{config.name} has no seat in a cluster yet, and holds nothing"))
        elif cluster.rebuilding or cluster.behind:
            answer(
                ErrorReply("UNAVAILABLE", f"{config.name} is being rebuilt and lacks rows: ask another node, or wait")
            )
        else:
            source = Source(
                config.name, config.id, config.cluster, cluster.cluster_id, cluster.partitions,
                join_address(config.host, config.port), __version__, int(self.wall_s() * 1000),
            )  # fmt: skip
            backups.ask(target, source, answer)

    def wall_s(self) -> float:
        """Unix time."""
        return self._server.wall_s()

    def surroundings(self) -> Surroundings:
        """What /metrics tells beside the measures."""
        from node.runtime.metrics import Surroundings

        server = self._server
        view = server.node.view()
        return Surroundings(
            version=__version__,
            node=server.config.name,
            cluster=server.config.cluster,
            peers_up=server.peers_up,
            members=view.members,
            clients=len(server.clients.sessions),
            in_flight=server.driver.in_flight,
            seated=view.seated,
            tls_refusals={
                "client": server.clients.tls.refusals if server.clients.tls else 0,
                "peer": server.transport.tls_refusals,
            },
            http_answers=server.http.answered,
            standing=self._standing(),
            name_of=lambda node: server.node.cluster.name(NodeId(node)),
            wall_ms=int(self.wall_s() * 1000),
        )

    def _standing(self) -> Standing | None:
        from node.runtime.metrics import Standing

        cluster, shared, now = self._server.node.cluster, self._server.node.shared, monotonic()
        ring = cluster.ring
        if ring is None:
            return None
        seats = ring.seats if ring.before is None else ring.before.seats
        owners = ring.owners if ring.before is None else ring.before.owners
        repair, todo = shared.repair(now), shared.transfers(now).get("todo")
        age_s, differed = repair.get("last_pass_s_ago"), repair.get("divergent")
        return Standing(
            epoch=ring.epoch,
            moving=ring.before is not None,
            primary=sum(seats[owner].id == shared.me for owner in owners),
            owned=sum(map(cluster.owns, range(ring.partitions))),
            to_take_in=todo if isinstance(todo, int) else None,
            repair_age_s=age_s if isinstance(age_s, int | float) else None,
            repair_differed=differed if isinstance(differed, int) else None,
            background_rows_s=shared.admission.rows_s,
            repairs=shared.repairs,
        )

    def metrics(self) -> tuple[str, bytes]:
        """/metrics. The renderer is imported when somebody first asks: most nodes are never scraped."""
        from node.runtime.metrics import render

        return render(self._server.measures, self.surroundings)

    def site(self) -> Site:
        """What the HTTP port answers."""
        server = self._server
        return Site(
            server.driver.submit, self.metrics, password=lambda: server.clients.password, listen=server.settings.listen
        )

    def uptime_s(self) -> float:
        """Seconds since the start."""
        return round(monotonic() - self._server.began, 1)
