"""Records published by every candidate: event n, in Python and in SQL.

The payload, a JSON object, holds n in twelve digits at a fixed place: one checker reads all topics. Keys are
pseudo-random, so a batch may hold two events of one key, and n grows with every event of a key.
"""

from __future__ import annotations

import hashlib

from shared.outbox.signature_text import MOST_EVENTS_OF_SIGNATURE, SignatureText

KEYS = 5_000
PARTITIONS = 12
PAYLOAD_BYTES = 256
NUMBER_DIGITS = 12
_KEY_DIGITS = 7
_HEAD, _MIDDLE, _TAIL = '{"n":"', '","data":"', '"}'

TIME = "2026-01-13T03:45:00.123000Z"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT_TYPE = "io.exitflow.Happened.v1"
SOURCE = "/bench"

KEY_SQL = f"('key-' || mod(('x' || left(md5(n::text), {_KEY_DIGITS}))::bit({4 * _KEY_DIGITS})::integer, {KEYS}))"
SEQUENCE_SQL = "(n + 1)"
"""Grows per key, though not without gaps: those, the outbox's own writer keeps out, and no relay looks."""
PAYLOAD_SQL = (
    f"convert_to(rpad('{_HEAD}' || lpad(n::text, {NUMBER_DIGITS}, '0') || '{_MIDDLE}'"
    f" || md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text), {PAYLOAD_BYTES - len(_TAIL)}, 'x') || '{_TAIL}',"
    " 'UTF8')"
)
ALL_HEADERS_SQL = (
    f"jsonb_build_object('ce_type', '{EVENT_TYPE}', 'ce_source', '{SOURCE}', 'ce_subject', {KEY_SQL},"
    f" 'ce_time', '{TIME}', 'traceparent', '{TRACEPARENT}', 'ce_specversion', '1.0', 'ce_id', gen_random_uuid(),"
    f" 'ce_sequence', {SEQUENCE_SQL}::text, 'content-type', 'application/json')"
)
"""All nine, for an outbox with headers ready to send."""

GROUP = MOST_EVENTS_OF_SIGNATURE
"""Events of a backlog with one signature: production writes them in calls of many."""
_KEY_ID = "0123456789abcdef"
_LEVELS = range((GROUP - 1).bit_length())
_PATH_TEXTS = [f"'{level}/' || ((n >> {level}) # 1)" for level in _LEVELS]
_DIGESTS_SQL = " || ".join(
    f"sha256(({text})::bytea)" for text in (f"'r' || n / {GROUP}", f"'s' || n / {GROUP}", *_PATH_TEXTS)
)
SIGNATURE_SQL = f"'{_KEY_ID}/' || mod(n, {GROUP}) || ':' || translate(encode({_DIGESTS_SQL}, 'base64'), chr(10), '')"
"""As long as that of an event in a whole group, with as much in common. Only our own outbox stores one."""

RANGE_SQL = "generate_series(%(first)s::bigint, %(last)s::bigint) AS n"


def signature_of(number: int) -> str:
    """Return the value of `SIGNATURE_SQL` for event `number`."""
    path = b"".join(_sha256(f"{level}/{number >> level ^ 1}") for level in _LEVELS)
    return str(SignatureText(_KEY_ID, _signature(number // GROUP), number % GROUP, path))


def lone_signature_of(number: int) -> str:
    """Return the signature of event `number`, written by itself."""
    return str(SignatureText(_KEY_ID, _signature(number)))


def key_of(number: int) -> str:
    """Return the key of event `number`."""
    return f"key-{int(_digest(number)[:_KEY_DIGITS], 16) % KEYS}"


def payload_of(number: int) -> bytes:
    """Return its 256 bytes: the number, an incompressible part and a compressible filling."""
    digests = "".join(_digest(number + n) for n in range(3))
    body = f"{_HEAD}{number:0{NUMBER_DIGITS}}{_MIDDLE}{digests}"
    return (body.ljust(PAYLOAD_BYTES - len(_TAIL), "x") + _TAIL).encode()


def number_of(payload: bytes) -> int:
    """Return a payload's event number; raise ValueError for a foreign payload."""
    return int(payload[len(_HEAD) : len(_HEAD) + NUMBER_DIGITS])


def all_headers(number: int, event_id: str) -> dict[str, str]:
    """Return all nine headers of the record."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_sequence": str(number + 1),
        "content-type": "application/json",
        "ce_type": EVENT_TYPE,
        "ce_source": SOURCE,
        "ce_subject": key_of(number),
        "ce_time": TIME,
        "traceparent": TRACEPARENT,
    }


def _signature(number: int) -> bytes:
    """Return as many bytes as a signature has, and as hard to compress."""
    return _sha256(f"r{number}") + _sha256(f"s{number}")


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _digest(number: int) -> str:
    """Return md5(n::text) as in SQL."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
