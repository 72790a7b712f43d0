"""Every check of `dyn doctor` by its id: what it looks at, and why that matters (`--list`, `--explain`)."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_cli.doctor.findings import Check

CHECKS: Mapping[str, Check] = {
    "host.python": Check(
        "the Python that runs dyn, and its SQLite",
        "A node needs SQLite 3.38 or later, which comes with Python, and does not start without.",
        also=("dyn version --json",),
    ),
    "host.store": Check(
        "whether SQLite can keep a log beside its file (WAL) where nodes here keep their data",
        "Some network file systems cannot, and a node refuses to start on them. The check writes an empty file into "
        "that directory and removes it.",
    ),
    "host.space": Check(
        "free space where nodes here keep their data",
        "Below 1 GiB a day of writes may fill the disk; a node that is nearly full refuses values, and lets deletes "
        "through.",
        also=("dyn node stats",),
    ),
    "host.files": Check(
        "how many files, and so connections, a process here may open",
        "Each client and each peer is one. Below 1,024 a node turns clients away early.",
    ),
    "host.text": Check(
        "the size of the terminal, and whether it shows UTF-8 and colours",
        "Screens are made for 80 columns. Without UTF-8 some characters are shown as escapes; without colours nothing "
        "is lost.",
        also=("dyn help environment",),
    ),
    "host.config": Check(
        "whether a node that is started here would take its settings (dyn.toml, DYN_*)",
        "A wrong setting stops a node before it opens anything; this tells beforehand.",
        also=("dyn help node start",),
    ),
    "host.ports": Check(
        "who has the ports that a node started here would use",
        "A node never takes another port than the one it was told: clients would not find it.",
        also=("dyn node start --port 7701",),
    ),
    "host.mdns": Check(
        "whether this machine can join the multicast group by which nodes find each other",
        "Containers and network namespaces often block it. Nodes that are started with --join need it not.",
        "discovery",
    ),
    "host.secrets": Check(
        "whether key and password files here are their owner's alone",
        "Who reads the cluster key can be a node of the cluster. A node refuses to start with a file that others can "
        "read.",
        mends="takes it from the others (chmod 600)",
    ),
    "host.private": Check(
        "whether the shell's history and the saved contexts are their owner's alone",
        "Lines that were typed have keys and values in them, and contexts say where clusters are.",
        also=("dyn config path",),
        mends="takes them from the others (chmod 600)",
    ),
    "host.demos": Check(
        "whether the data of every demo that is kept is still where it was",
        "One whose folder was deleted by hand stays in the list, and its name stays taken.",
        also=("dyn demo ls",),
        mends="takes it off the list (dyn demo rm)",
    ),
    "host.completion": Check(
        "whether the completion file of your shell is that of this release",
        "An old one offers commands that are gone, and lacks those that are new.",
        also=("dyn help completion",),
        mends="writes that of this release (dyn completion --install)",
    ),
    "cluster.answer": Check(
        "whether every member answers, and how fast",
        "A member that is away costs no request as long as quorums remain; what it misses is kept for it.",
        "hint",
        ("dyn cluster status",),
    ),
    "cluster.health": Check(
        "what the nodes themselves give as reasons for their health",
        "degraded: something is missing, and every key has its quorums. critical: some keys have lost theirs.",
        "quorum",
        ("dyn cluster status",),
    ),
    "cluster.views": Check(
        "whether the nodes agree on who is there, and on the epoch of the ring",
        "They may differ for some seconds after a change. Longer means that some cannot hear each other.",
        "gossip",
        ("dyn cluster views",),
    ),
    "cluster.versions": Check(
        "whether the nodes run the same release, and can speak with each other",
        "Neighbouring releases work together, so nodes can be upgraded one at a time; two without a common version of "
        "the protocol have no link.",
        also=("dyn version",),
    ),
    "cluster.clocks": Check(
        "how far apart the wall clocks of the nodes are",
        "No clock decides which value is kept. Times that are shown, and merge --lww, go by them: half a second "
        "is tolerated.",
        "clock",
    ),
    "cluster.transfers": Check(
        "whether a change of the ring makes progress",
        "Partitions that have not moved for a minute wait for a node that is away.",
        "epoch",
        ("dyn cluster transfers",),
    ),
    "ring.copies": Check(
        "whether every partition has its N owners, on different nodes",
        "With fewer nodes than N there are fewer copies, and a failure costs more.",
        "replicas",
        ("dyn ring show",),
    ),
    "data.siblings": Check(
        "keys with several values, and the one that has most of those looked at",
        "Two writers did not see each other. Readers must settle what no store can; each further blind write adds one.",
        "siblings",
        ("dyn keys --siblings",),
    ),
    "data.hints": Check(
        "rows that have waited for their owners for more than a minute",
        "Until they are delivered one copy more is missing, and the node that keeps them must not be lost.",
        "hint",
        ("dyn cluster hints",),
    ),
    "data.repair": Check(
        "when the last full pass of anti-entropy was, and whether it found keys that differ",
        "Whatever a write missed is brought by it.",
        "anti-entropy",
        ("dyn cluster repair",),
    ),
    "data.rot": Check(
        "rows that the scrubber found damaged",
        "The disk gave back other bytes than it took. Other owners bring such rows back; the disk should be looked at.",
        "replicas",
        ("dyn node stats",),
    ),
    "node.disk": Check(
        "disks that failed or are nearly full, and the least free space of all",
        "A node whose disk failed stores nothing more until it is started again; one that is full refuses values.",
        also=("dyn node stats",),
    ),
    "node.speed": Check(
        "the 99th percentile of each kind of request",
        "Above 300 ms somebody waits: it is what the Dynamo paper promises its clients.",
        "coordinator",
        ("dyn node stats",),
    ),
    "node.load": Check(
        "requests that were turned away since a node started",
        "More came than it can answer in time, and refusing some early keeps the others quick.",
        also=("dyn node stats",),
    ),
    "node.durability": Check(
        "nodes that acknowledge before they sync",
        "With normal or memory a power cut, or a crash, may take back what was acknowledged.",
        "quorum",
    ),
    "node.certificate": Check(
        "certificates of nodes that end within 30 days",
        "After its end neither peers nor clients take it. A renewed one counts from the next start on.",
        also=("dyn help node cert",),
    ),
    "node.faults": Check(
        "faults in force on purpose (nodes started with --allow-faults)",
        "They explain what else looks wrong.",
        also=("dyn fault list",),
    ),
}
"""In the order in which they are shown."""
