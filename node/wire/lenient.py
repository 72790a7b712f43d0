"""What a later release says, read by this one: fields that it does not know are dropped (`wire.versions`).

msgspec drops those at the end of a struct by itself; in a named tuple they are an error. So this is for what the strict
decoder refused: the message is taken apart, every array is cut to the fields that its type has, and put together again.
Nothing is ever added, and what is too short, or of another type, stays as it was.
"""

from __future__ import annotations

import msgspec
from msgspec import inspect


class Trimmer:
    """Cuts what was encoded as a `kind` to the fields that this release knows."""

    def __init__(self, kind: object) -> None:
        self._type = inspect.type_info(kind)

    def trim(self, data: bytes | memoryview) -> bytes:
        """Return MessagePack without unknown fields. Raises msgspec.MsgspecError if `data` is none at all."""
        return msgspec.msgpack.encode(_fitted(msgspec.msgpack.decode(data), self._type))


def _fitted(value: object, kind: inspect.Type) -> object:
    """One value, cut to its type as far as it is of that type."""
    if not isinstance(value, list):
        return value
    if isinstance(kind, inspect.UnionType):
        found = next((each for each in kind.types if _takes(value, each)), None)
        return value if found is None else _fitted(value, found)
    if isinstance(kind, inspect.NamedTupleType):
        return [_fitted(each, field.type) for each, field in zip(value, kind.fields, strict=False)]
    if isinstance(kind, inspect.StructType) and kind.array_like:
        tag = [] if kind.tag is None else value[:1]
        return tag + [_fitted(each, field.type) for each, field in zip(value[len(tag) :], kind.fields, strict=False)]
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return [_fitted(each, kind.item_type) for each in value]
    if isinstance(kind, inspect.TupleType) and len(value) == len(kind.item_types):
        return [_fitted(each, item) for each, item in zip(value, kind.item_types, strict=True)]
    return value


def _takes(value: list[object], kind: inspect.Type) -> bool:
    """Whether an array may be of this one of several types: a struct is known by its tag."""
    if isinstance(kind, inspect.StructType):
        return kind.array_like and (kind.tag is None or value[:1] == [kind.tag])
    return isinstance(kind, inspect.NamedTupleType | inspect.VarTupleType | inspect.ListType | inspect.TupleType)
