"""All documents that `dyn -o json` prints, in one table."""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas import of_clusters, of_dyn, of_keys, of_nodes, of_watching
from dynamo_cli.schemas.notation import Told

ERROR_NAME: Final = "dyn.error/v1"

SCHEMAS: Final[dict[str, Told]] = {
    **of_keys.SCHEMAS,
    **of_clusters.SCHEMAS,
    **of_nodes.SCHEMAS,
    **of_watching.SCHEMAS,
    **of_dyn.SCHEMAS,
    ERROR_NAME: of_dyn.ERROR,
}
