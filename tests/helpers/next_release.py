"""`dyn`, as the next release may be: it speaks a newer version, and says more in everything that it sends to peers.

    python -m tests.helpers.next_release node start …     as `python -m dynamo_cli node start …`

`NEXT_RELEASE_OLDEST` is the oldest version that it still speaks, by default that of this release.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec

from dynamo_cli.__main__ import main
from node.runtime import links, server
from node.wire import versions
from node.wire.codec import PROTOCOL, encode_batch
from node.wire.framing import frame
from node.wire.messages import Message

MORE = "what a later release added"
RELEASE = "99.0.0"


def say_more(messages: Sequence[Message]) -> list[bytes]:
    """The frames of these messages, with one more field in everything that has fields."""
    frames = []
    for message in messages:
        fields = [grown(getattr(message, name)) for name in message.__struct_fields__]
        body = msgspec.msgpack.encode([[message.__struct_config__.tag, *fields, MORE]])
        (plain,) = encode_batch([message])
        assert len(body) > len(plain) - 5
        frames.append(frame(bytes([PROTOCOL]) + body))
    return frames


def grown(value: object) -> object:
    """A field of a message: the named tuples in it have one more field each."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        fields = [grown(getattr(value, name)) for name in value.__struct_fields__]
        return [*([] if tag is None else [tag]), *fields, MORE]
    if isinstance(value, tuple):
        return [*(grown(each) for each in value), *([MORE] if hasattr(value, "_fields") else [])]
    return value


if __name__ == "__main__":
    vars(links)["encode_batch"] = say_more
    vars(server)["NEWEST"] = versions.NEWEST + 1
    vars(server)["OLDEST"] = int(os.environ.get("NEXT_RELEASE_OLDEST", versions.OLDEST))
    vars(server)["__version__"] = RELEASE
    sys.exit(main())
