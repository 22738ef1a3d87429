"""Forward TCP from one published port to the copies of a service.

Each connection resolves the name again and uses the copies round robin, skipping those without an answer. Copies may
therefore start, stop and crash behind one port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Self

from shared.errors import ConfigurationError

log = logging.getLogger(__name__)

CONNECT_LIMIT_S = 2
CONNECTIONS = 500
"""At the same time, for each port; more wait to be accepted."""
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Forward:
    """A port of ours, and where its connections go."""

    port: int
    host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PORT=HOST:PORT``.

        Raises
        ------
        ConfigurationError
            It is something else.
        """
        port, _, target = text.partition("=")
        host, _, target_port = target.rpartition(":")
        if not (port.isdigit() and host and target_port.isdigit()):
            raise ConfigurationError(f"not PORT=HOST:PORT: {text}")
        return cls(int(port), host, int(target_port))


async def forward_all(forwards: Sequence[Forward], listen_host: str) -> None:
    """Forward until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        A port cannot be listened on.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as listening:
        for forward in forwards:
            await listening.enter_async_context(await _listen(forward, listen_host))
        await stop.wait()


async def _listen(forward: Forward, listen_host: str) -> asyncio.Server:
    carrier = Carrier(forward)
    try:
        return await asyncio.start_server(carrier.carry, listen_host, forward.port)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {listen_host}:{forward.port}: {error.strerror}") from error


class Carrier:
    """Carries the connections of one port."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._turn = count()
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Forward one connection until it ends."""
        async with self._room:
            try:
                await self._join(reader, writer)
            except OSError as error:  # one side is gone; the other is told by the close
                log.info("connection to %s ended: %s", self._forward.host, error)
            finally:
                writer.close()

    async def _join(self, reader: StreamReader, writer: StreamWriter) -> None:
        their_reader, their_writer = await self._connect()
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_pump(reader, their_writer))
                both_ways.create_task(_pump(their_reader, writer))
        except* OSError as errors:
            raise ConnectionError(str(errors.exceptions[0])) from errors
        finally:
            their_writer.close()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        failure = OSError(f"{self._forward.host} has no address")
        for address in await self._addresses():
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    return await asyncio.open_connection(address, self._forward.target_port)
            except OSError as error:  # a time-out is one as well; perhaps another copy answers
                failure = error
        raise failure

    async def _addresses(self) -> list[str]:
        """Return every copy's address, starting with the next one in turn."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._forward.host, self._forward.target_port, type=socket.SOCK_STREAM)
        addresses = sorted({str(sockaddr[0]) for *_, sockaddr in found})
        first = next(self._turn) % len(addresses)
        return addresses[first:] + addresses[:first]


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    """Copy data until the end of the stream, then close the other side."""
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
