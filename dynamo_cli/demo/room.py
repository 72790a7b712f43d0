"""Whether there is room for a demo: its ports, and the folder of its data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynamo_cli.demo.processes import RECORD
from dynamo_cli.demo.seen import Place
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus


def check_ports(wanted: Sequence[Place]) -> None:
    """Raise CliError if one of the ports is taken, saying by whom."""
    from node.runtime.config import NodeSettings, StartError
    from node.runtime.ports import check_ports as check

    for place in wanted:
        try:
            check(NodeSettings(port=place.port, peer_port=place.peer_port, http_port=place.http_port))
        except StartError as error:
            other = wanted[0].port - 1 + 1000
            raise CliError(
                ExitStatus.FAILURE,
                f"{place.name} cannot start: {error.message}",
                f"End that, or use other ports: dyn demo --base-port {other}",
                code="PORT",
            ) from None


def check_nrw(text: str, founded: bool) -> None:
    """Raise a usage error for quorums that cannot be, or that would change a cluster that is there."""
    from node.runtime.config import SettingError, load_settings

    if founded:
        raise CliError(
            ExitStatus.REFUSED, "this demo is founded: its N/R/W stay as they are",
            "Leave --nrw away, or begin a new one: --keep ANOTHER",
        )  # fmt: skip
    try:
        load_settings(environ={"HOME": "/"}, cwd=Path("/proc"), nrw=text)  # where there is no dyn.toml
    except SettingError as error:
        raise usage(error.message, "See: dyn help demo") from None


def founded(folder: str | None, names: Iterable[str]) -> bool:
    """Whether a kept demo has data."""
    return folder is not None and any((Path(folder) / name).exists() for name in names)


def make_folder(keep: str | None) -> tuple[Path, bool]:
    """The folder of a demo, and whether it is temporary; raises CliError for one that holds something else."""
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="dyn-demo-")), True
    folder = Path(keep).expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / RECORD).exists():  # it alone says that what is here is a demo's, and may be deleted with it
            if any(folder.iterdir()):
                raise CliError(ExitStatus.REFUSED, f"{folder} holds other things than a demo", "Name a new folder")
            (folder / RECORD).write_text("{}\n")
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot use {folder}: {error.strerror}", "Name another folder") from None
    return folder, False
