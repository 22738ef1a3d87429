"""The text of the header ``ce_signature``: its two forms, written and read.

Of an event signed alone, ``<key id>:<base64 of the signature>``. Of an event signed in a group,
``<key id>/<index>:<base64 of the signature and the path>``: readers of the first form alone find no such key.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from typing import NamedTuple, Self

from shared.outbox.hash_tree import DIGEST_BYTES

MOST_EVENTS_OF_SIGNATURE = 16
"""Events under one signature. Twice as many would save the writer less than 1 µs an event, and add 43 bytes to each."""

SIGNATURE_BYTES = 64

_BASE64 = "[A-Za-z0-9+/]"
_PATHS = f"{_BASE64}{{128}}|{_BASE64}{{171}}=|{_BASE64}{{214}}==|{_BASE64}{{256}}"
"""Signatures with paths of one to four digests."""
PATTERN = f"^([0-9a-f]{{16}})(?::({_BASE64}{{86}}==)|/([0-9]|1[0-5]):({_PATHS}))$"

_match = re.compile(PATTERN).fullmatch


class SignatureText(NamedTuple):
    """The parts of the header.

    Attributes
    ----------
    place:
        Index of the event in its group; 0 for an event signed alone.
    path:
        Digests beside the event's way to the root of its group; empty for an event signed alone.
    """

    key_id: str
    signature: bytes
    place: int = 0
    path: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the header. Every signature has one text only.

        Raises
        ------
        ValueError
            It has neither of the two forms.
        """
        found = _match(text)
        if found is None:
            raise ValueError("it has neither of the two forms")
        key_id, alone, index, grouped = found.groups()
        written = alone or grouped
        raw = a2b_base64(written)
        if written.endswith("=") and _base64(raw) != written:  # without padding every bit is used
            raise ValueError("unused bits of its base64 are set")
        made = cls(key_id, raw[:SIGNATURE_BYTES], int(index or 0), raw[SIGNATURE_BYTES:])
        if made.place >> (len(made.path) // DIGEST_BYTES):
            raise ValueError("its group has no such index")
        return made

    def __str__(self) -> str:
        place = f"/{self.place}" if self.path else ""
        return f"{self.key_id}{place}:{_base64(self.signature + self.path)}"


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode()
