"""Writes of one step of the event loop leave in one piece and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shared.http.joined_writes import MOST_HELD_BYTES, JoinedWrites


class Wire(asyncio.Transport):
    """A list of the calls to it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.asked.append(bytes(data))

    def write_eof(self) -> None:
        self.asked.append("eof")

    def close(self) -> None:
        self.asked.append("close")

    def abort(self) -> None:
        self.asked.append("abort")

    def is_closing(self) -> bool:
        return not {"close", "abort"}.isdisjoint(map(str, self.asked))

    def get_write_buffer_size(self) -> int:
        return 7


def told(act: Callable[[JoinedWrites], object]) -> list[bytes | str]:
    """The calls to the wire until the next step of the loop."""
    wire = Wire()

    async def run() -> None:
        act(JoinedWrites(wire, asyncio.get_running_loop()))
        await asyncio.sleep(0)

    asyncio.run(run())
    return wire.asked


def write_two(joined: JoinedWrites) -> None:
    joined.write(b"head ")
    joined.write(b"")
    joined.write(b"body")


def test_writes_of_one_step_are_one() -> None:
    assert told(write_two) == [b"head body"]


@pytest.mark.parametrize(("name", "first"), [("close", [b"head body"]), ("write_eof", [b"head body"]), ("abort", [])])
def test_held_writes_are_sent_before_end_and_dropped_on_abort(name: str, first: list[bytes]) -> None:
    def act(joined: JoinedWrites) -> None:
        write_two(joined)
        getattr(joined, name)()

    assert told(act) == [*first, "eof" if name == "write_eof" else name]


def test_a_long_answer_is_not_held() -> None:
    def act(joined: JoinedWrites) -> None:
        joined.write(b"x" * MOST_HELD_BYTES)
        joined.write(b"y")
        joined.write(b"z")

    assert told(act) == [b"x" * MOST_HELD_BYTES + b"y", b"z"]


def test_everything_else_is_the_transports() -> None:
    async def size() -> int:
        return int(JoinedWrites(Wire(), asyncio.get_running_loop()).get_write_buffer_size())

    assert asyncio.run(size()) == 7
