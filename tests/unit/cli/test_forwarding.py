"""TCP is carried both ways, to each copy in turn, around the silent ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from deploy.compose.tcp_forwarder import Carrier, Forward
from shared.errors import ConfigurationError

HOST = "127.0.0.1"


class CarrierTo(Carrier):
    """Copies at these addresses."""

    def __init__(self, addresses: list[str], port: int) -> None:
        super().__init__(Forward(0, "copies", port))
        self.addresses = addresses

    async def _addresses(self) -> list[str]:
        turn = next(self._turn) % len(self.addresses)
        return self.addresses[turn:] + self.addresses[:turn]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes sent, once the end has come: only a half-closed connection shows the end."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, host: str = HOST, port: int = 0) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, host, port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def said_through(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_bytes_and_the_end_of_a_stream_go_both_ways() -> None:
    async def run() -> bytes:
        async with AsyncExitStack() as stack:
            copy = await stack.enter_async_context(listening(echo))
            front = await stack.enter_async_context(listening(Carrier(Forward(0, HOST, copy)).carry))
            return await said_through(front, b"x" * 1_000_000)

    assert asyncio.run(run()) == b"x" * 1_000_000


def test_a_copy_that_does_not_answer_is_passed_over() -> None:
    async def run() -> list[bytes]:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(echo))
            carrier = CarrierTo(["127.0.0.99", HOST], port)
            front = await stack.enter_async_context(listening(carrier.carry))
            return [await said_through(front, b"hello") for _ in range(4)]

    assert asyncio.run(run()) == [b"hello"] * 4


def test_copies_take_turns() -> None:
    async def run() -> list[bytes]:
        def named(name: bytes) -> Handler:
            async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(name)
                await writer.drain()
                writer.close()

            return say

        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(named(b"a")))
            await stack.enter_async_context(listening(named(b"b"), "127.0.0.2", port))
            carrier = CarrierTo([HOST, "127.0.0.2"], port)
            front = await stack.enter_async_context(listening(carrier.carry))
            return [await said_through(front, b"") for _ in range(4)]

    assert asyncio.run(run()) == [b"a", b"b", b"a", b"b"]


def test_connection_closes_when_no_copy_is_left() -> None:
    async def run() -> bytes:
        async with listening(CarrierTo(["127.0.0.99"], 1).carry) as front:
            return await said_through(front, b"")

    assert asyncio.run(run()) == b""


@pytest.mark.parametrize("text", ["8001", "8001=exit-api", "x=exit-api:8001", "8001=:8001", "8001=exit-api:x"])
def test_what_is_no_forward_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Forward.parse(text)


def test_a_forward_is_read() -> None:
    assert Forward.parse("8001=exit-api:8002") == Forward(8001, "exit-api", 8002)
