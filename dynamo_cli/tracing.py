"""Reads and writes that may be followed on their way (DYN.TRACE): what they give, and the way they took.

A request is asked for as it always is unless somebody wants its trace; then the node answers with one document that has
both. The way is told also of a request that failed: there it is worth the most.
"""

from __future__ import annotations

from typing import Any

from dynamo_cli import store
from dynamo_cli.call import Call, Document
from dynamo_cli.client import Client, Word
from dynamo_cli.errors import from_reply
from dynamo_cli.render.plain import decode, json_text
from dynamo_cli.told import whole


def get(
    call: Call, key: bytes, *, r: int | None, strict: bool, clocks: bool, trace: bool, alone: Client | None = None
) -> tuple[store.Reading, Document | None]:
    """Read a key; with `trace`, or in a shell that traces, also its way. `alone`: who asks one node what it holds."""
    client, local = alone or call.client, alone is not None
    if not (trace or call.env.tracing):
        return store.get(client, key, r=r, strict=strict, clocks=clocks, local=local), None
    words = ["DYN.TRACE", "GET", key, *store.quorum("R", r, strict), *["LOCAL"] * local, *client.timeout_words]
    document = store.parsed(client.read(*words))
    result = _result(call, document)
    versions = [
        store.Version(
            None if version["deleted"] else decode(version["value"], version["enc"]),
            version["clock"],
            version["dot"],
            version["past"],
            version["written_at"],
            version["writer"],
        )
        for version in result["values"]
    ]
    return store.Reading(key, result["context"].encode(), tuple(versions)), document


def write(
    call: Call, key: bytes, context: bytes, value: bytes | None, *, w: int | None, strict: bool, trace: bool
) -> tuple[store.Receipt, Document | None]:
    """Write a value over what `context` covers, or with None delete that; with `trace` also the way of the write."""
    if not (trace or call.env.tracing):
        if value is None:
            return store.delete(call.client, key, context, w=w, strict=strict), None
        return store.put(call.client, key, context, value, w=w, strict=strict), None
    what: list[Word] = ["DEL", key, context] if value is None else ["PUT", key, context, value]
    words = ["DYN.TRACE", *what, *store.quorum("W", w, strict), *call.client.timeout_words]
    document = store.parsed(call.client.write(*words))
    result = _result(call, document)
    siblings = whole(result, "siblings")
    return store.Receipt(key, result["context"].encode(), tuple(result["acks"]), result["w"], siblings), document


def _result(call: Call, document: Document) -> dict[str, Any]:
    """What the request gave; if it failed, its way is shown, and CliError raised."""
    result: dict[str, Any] = document["result"]
    error = result.get("error")
    if error is not None:
        if call.format in ("json", "jsonl"):
            call.env.write(json_text(document), error=True)
        else:
            show(call, document)
        raise from_reply(f"{error['code']} {error['text']}")
    return result


def show(call: Call, document: Document | None) -> None:
    """Draw the way of a request beside its result: on standard error. In JSON it is within the result."""
    if document is None or call.format in ("json", "jsonl"):
        return
    from dynamo_cli.render.trace import trace_screen

    call.draw(trace_screen(document, wide=call.format == "wide"), error=True)
