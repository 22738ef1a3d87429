"""Kafka records without Kafka, and every kind of bytes in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import strategies as st

Json = dict[str, Any]


@dataclass
class FakeMessage:
    """The consumers' interface of a confluent_kafka Message."""

    topic_: str
    value_: bytes | None
    partition_: int = 0
    offset_: int = 0
    key_: bytes | None = None
    headers_: list[tuple[str, bytes | None]] | None = field(default_factory=list)
    arrived_ms: int = 1_768_275_900_000

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return (TIMESTAMP_LOG_APPEND_TIME, self.arrived_ms)

    def error(self) -> None:
        return None


def message(topic: str, value: bytes | None, **where: Any) -> Message:
    """A record as a consumer is given it."""
    return cast(Message, FakeMessage(topic, value, **where))


NASTY_TEXTS = (
    "", " ", "\x00", "\ud7ff", "NaN", "-NaN", "Infinity", "-0", "1e1000000", "-1e1000000", "1e-1000000", "9" * 5000,
    "0." + "0" * 5000 + "1", "1520.3500000000001", "2026-01-13T09:15:00Z", "0001-01-01T00:00:00+05:30",
    "9999-12-31T23:59:59-05:30", "NSE:NIFTY 50", "A" * 100_000, "\u0661\u0662", "null", "{}",
)  # fmt: skip
NASTY_NUMBERS = (0, -0.0, -1, 2**31, 2**63 - 1, 2**63, 10**18, 10**4000, 1e308, 5e-324, float("nan"), float("inf"))

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(NASTY_TEXTS)
    | st.sampled_from(NASTY_NUMBERS)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
deep_values = st.sampled_from([b"[" * 200_000, b'{"a":' * 100_000, b"[" * 150 + b"]" * 150, b"9" * 100_000])


@st.composite
def mutations(draw: st.DrawFn, bodies: Sequence[Json]) -> bytes:
    """A valid record with some fields replaced, added or left out, here or deeper, and perhaps a few bytes changed."""
    body = json.loads(json.dumps(draw(st.sampled_from(bodies))))
    for _ in range(draw(st.integers(0, 3))):
        place = body
        while True:
            below = place.values() if isinstance(place, dict) else place
            deeper = [value for value in below if isinstance(value, dict | list) and value]
            if not deeper or draw(st.booleans()):
                break
            place = draw(st.sampled_from(deeper))
        at = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.integers(0, 3)) == 0:
            del place[at]
        else:
            place[at] = draw(json_values)
        if not place:
            break
    text = bytearray(json.dumps(body).encode())
    for at in draw(st.lists(st.integers(0, len(text) - 1), max_size=2)):
        text[at] = draw(st.integers(0, 255))
    return bytes(text)


def values(bodies: Sequence[Json]) -> st.SearchStrategy[bytes | None]:
    """The value of a record: anything at all, or something close to one of these."""
    any_json = json_values.map(lambda value: json.dumps(value).encode())
    return st.none() | st.binary(max_size=200) | any_json | deep_values | mutations(bodies) | mutations(bodies)


def _cloud_event(of: tuple[bytes, bytes]) -> list[tuple[str, bytes | None]]:
    return [("ce_id", of[0]), ("ce_type", of[1])]


def headers(types: Sequence[str]) -> st.SearchStrategy[list[tuple[str, bytes | None]] | None]:
    """The headers of a record: any names and bytes, often those of a CloudEvent."""
    name = st.sampled_from(["ce_id", "ce_type", "ce_time", "traceparent", "content-type", ""]) | st.text(max_size=10)
    known = st.sampled_from([kind.encode() for kind in types])
    id_ = st.uuids().map(lambda each: str(each).encode())
    value = st.none() | st.binary(max_size=40) | known | id_
    event = st.tuples(id_, known).map(_cloud_event)
    return st.none() | event | event | st.lists(st.tuples(name, value), max_size=6)


def hostile_ticks(symbol: str) -> list[bytes]:
    """Values other than a tick of a symbol; each once ended a consumer or might."""
    body = f'{{"symbol":"{symbol}","ltp":%s,"ts":"2026-01-13T03:45:00Z","seq":%s}}'
    numbers = ["1e1000000", '"1e1000000"', "NaN", "-Infinity", "9" * 5000, f'"{"9" * 5000}"', "-0", "true", "[]"]
    return [
        *((body % (number, 1)).encode() for number in numbers),
        (body % ('"1"', "9" * 5000)).encode(),
        (body % ('"1"', "1e400")).encode(),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"symbol":"' + b"A" * 500_000 + b'"}',
        b'{"symbol":"\\ud800"}',
        b"\xff\x00",
    ]


ODD_HEADERS: list[tuple[str, str | bytes | None]] = [
    ("", None),
    ("ce_type", b"\xff\xfe"),
    ("\u0000", b"\x00" * 100),
    *((f"h{n}", b"v") for n in range(200)),
]
