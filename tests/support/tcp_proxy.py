"""A TCP proxy; it can drop everything passing through it, as a broken network does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.waiting import LIMIT_S

CHUNK_BYTES = 64 * 1024


class TcpProxy:
    """Carries connections to one port of this machine.

    `drop` loses everything from then on, in silence: the connections stay open, and new ones are
    accepted and lead nowhere. `heal` lets new connections through; the old ones stay broken.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._generation = 0
        self._is_dropping = False
        self.port = 0

    def drop(self) -> None:
        """Drop everything from now on."""
        self._is_dropping = True
        self._generation += 1

    def heal(self) -> None:
        """Let new connections through again."""
        self._is_dropping = False

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Carry connections until `stop` is set."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        generation = self._generation
        with contextlib.suppress(OSError):
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                await asyncio.gather(
                    self._pump(reader, their_writer, generation), self._pump(their_reader, writer, generation)
                )
            finally:
                their_writer.close()
                writer.close()

    async def _pump(self, reader: StreamReader, writer: StreamWriter, generation: int) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if not self._drops(generation):
                writer.write(chunk)
                await writer.drain()
        if not self._drops(generation):
            writer.write_eof()

    def _drops(self, generation: int) -> bool:
        return self._is_dropping or generation != self._generation


@contextmanager
def running_proxy(target_port: int) -> Iterator[TcpProxy]:
    """While inside, a proxy to the port, in a thread."""
    proxy = TcpProxy(target_port)
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    def run() -> None:
        loop.run_until_complete(proxy.serve(started, stop))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run, name="tcp-proxy")
    thread.start()
    try:
        assert started.wait(LIMIT_S), "the proxy listens"
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LIMIT_S)
