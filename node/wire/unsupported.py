"""Redis commands that an always-writable store does not have, and why: they are refused in words, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_REASONS: Final = {
    "needs one order of all writes, which replicas that always accept writes do not have; "
    "read with DYN.GET, compute, and write with DYN.PUT and the context": (
        "INCR INCRBY INCRBYFLOAT DECR DECRBY APPEND SETRANGE SETBIT BITFIELD BITOP PFADD PFMERGE"
    ),
    "decides by what is stored, and replicas may differ; DYN.GET and DYN.PUT with its context keep both of two "
    "racing writes": "SETNX MSETNX GETSET GETDEL RENAME RENAMENX COPY MOVE",
    "keys do not expire here": (
        "EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST SETEX PSETEX GETEX EXPIRETIME PEXPIRETIME"
    ),
    "there are no transactions across keys; each key has its own versions": "MULTI EXEC DISCARD WATCH UNWATCH",
    "values are plain bytes: other types would have to be merged when writers race": (
        "HSET HGET HMSET HMGET HGETALL HDEL HINCRBY HINCRBYFLOAT HSETNX HKEYS HVALS HLEN HEXISTS HSCAN HSTRLEN "
        "HRANDFIELD LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LLEN LRANGE LINDEX LSET LREM LTRIM LINSERT LPOS LMOVE "
        "LMPOP RPOPLPUSH BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH SADD SREM SMEMBERS SISMEMBER SMISMEMBER SCARD SPOP "
        "SRANDMEMBER SMOVE SINTER SINTERSTORE SUNION SUNIONSTORE SDIFF SDIFFSTORE SSCAN ZADD ZREM ZCARD ZSCORE "
        "ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZRANGESTORE ZRANK ZREVRANK ZINCRBY ZCOUNT ZPOPMIN "
        "ZPOPMAX BZPOPMIN BZPOPMAX ZSCAN ZUNION ZINTER ZDIFF ZUNIONSTORE ZINTERSTORE ZDIFFSTORE ZREMRANGEBYRANK "
        "ZREMRANGEBYSCORE GEOADD GEOSEARCH GEOPOS GEODIST XADD XREAD XREADGROUP XRANGE XREVRANGE XLEN XDEL XTRIM "
        "XACK XGROUP XINFO XPENDING XCLAIM XAUTOCLAIM PFCOUNT SORT SORT_RO JSON.SET JSON.GET"
    ),
    "reads part of a value; use GET": "GETRANGE SUBSTR GETBIT BITCOUNT BITPOS LCS",
    "there is no publish and subscribe": (
        "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE PUBLISH SPUBLISH PUBSUB"
    ),
    "there are no scripts": "EVAL EVALSHA EVAL_RO EVALSHA_RO SCRIPT FUNCTION FCALL FCALL_RO MODULE",
    "every node takes every request, so there are no slots and no masters; DYN.RING shows placement": (
        "CLUSTER ASKING READONLY READWRITE REPLICAOF SLAVEOF PSYNC SYNC REPLCONF ROLE FAILOVER MIGRATE"
    ),
    "nothing can delete all keys of a cluster at once": "FLUSHALL FLUSHDB SWAPDB",
    "it would list the whole cluster in one answer; use SCAN or DYN.KEYS": "KEYS RANDOMKEY",
    "a write is durable on W nodes when it is answered; DYN.PUT … RECEIPT names them": (
        "WAIT WAITAOF SAVE BGSAVE BGREWRITEAOF LASTSAVE"
    ),
    "the server is stopped with SIGTERM, or dyn node stop": "SHUTDOWN",
    "DYN.STATS, DYN.EVENTS and /metrics show what there is": "MONITOR SLOWLOG LATENCY OBJECT DEBUG DUMP RESTORE",
    "there is one password for the client port and no users": "ACL",
}  # fmt: skip

WHY: Final[Mapping[bytes, str]] = {
    name.encode(): why for why, names in _REASONS.items() for name in names.split()
}  # fmt: skip
"""Why a command of Redis is not here, by its upper-case name."""

SET_OPTIONS: Final[Mapping[bytes, str]] = {
    b"NX": "decides by what is stored, and replicas may differ; use DYN.PUT with the context of DYN.GET",
    b"XX": "decides by what is stored, and replicas may differ; use DYN.PUT with the context of DYN.GET",
    b"GET": "the value before a write is not one value when writers race; use DYN.GET and DYN.PUT",
    b"EX": "keys do not expire here",
    b"PX": "keys do not expire here",
    b"EXAT": "keys do not expire here",
    b"PXAT": "keys do not expire here",
    b"KEEPTTL": "keys do not expire here",
}
"""Why an option of SET is not here."""
