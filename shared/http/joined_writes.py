"""Writes of one step of the event loop, sent together."""

from __future__ import annotations

import asyncio
from typing import Any

MOST_HELD_BYTES = 64 * 1024
"""A longer answer is sent at once, under the flow control of its connection."""


class JoinedWrites:
    """Transport for sending the head and the body of an answer with one system call, in one packet.

    A client would otherwise wake up for the head alone. Everything but writing is the transport's.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data before the event loop waits again."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MOST_HELD_BYTES:
            self._send()

    def write_eof(self) -> None:
        """Send the held bytes, and end writing."""
        self._send()
        self._transport.write_eof()

    def close(self) -> None:
        """Send the held bytes, and close."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Drop the held bytes, and close at once."""
        self._held.clear()
        self._transport.abort()

    def _send(self) -> None:
        held, self._held, self._held_bytes = b"".join(self._held), [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held)
