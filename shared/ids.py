"""Identifiers. Nothing else in the project makes one up."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

import uuid_utils
from uuid_utils import compat

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS = [low + high for high in _BASE36 for low in _BASE36]
"""Two digits of base 36, the lower one first: half as many divisions."""
CLIENT_ORDER_ID_LENGTH = 20


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): unique and ordered by creation time."""
    made: UUID = compat.uuid7()
    return made


def new_id_text() -> str:
    """Return the text of a new id, without making the object first."""
    return str(uuid_utils.uuid7())


def client_order_id(intent_id: UUID) -> str:
    """Return the broker tag of an intent's order: 20 characters of 0-9A-Z, fixed for each intent.

    The broker allows 20 alphanumerics, fewer bits than a UUID has, so the tag is a prefix (about 103 bits) of the
    SHA-256 of the id in base 36.
    """
    number = int.from_bytes(hashlib.sha256(intent_id.bytes).digest())
    pairs = []
    for _ in range(CLIENT_ORDER_ID_LENGTH // 2):
        number, pair = divmod(number, 36 * 36)
        pairs.append(_PAIRS[pair])
    return "".join(pairs)


def new_traceparent() -> str:
    """Return a W3C ``traceparent`` starting a new, sampled trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def exit_traceparent(signal_id: UUID) -> str:
    """Return the ``traceparent`` of an exit: its trace is the id of its signal, its first span the second half of it.

    Every process derives it from the signal alone; no table has to carry it.
    """
    return f"00-{signal_id.hex}-{signal_id.hex[16:]}-01"


def made_at_ms(of: UUID) -> int:
    """Return when a UUIDv7 was made, in milliseconds since 1970."""
    return of.int >> 80


def new_secret() -> str:
    """Return a URL-safe secret of 256 random bits."""
    return secrets.token_urlsafe(32)
