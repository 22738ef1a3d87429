"""A file is compared with its symbols' last ticks before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from services.cli.support.api_client import ApiClient
from services.cli.support.tapes.tape_age import warning
from services.replay.tape.recorded import BadLine, RecordedTick
from tests.unit.replay.examples import TCS, tick

SEEN = {"NSE%3AINFY": "2026-01-13T03:45:05.000000Z"}


def api(status: int = 200) -> ApiClient:
    """exit-api, with ticks of one symbol."""

    def answer(request: httpx.Request) -> httpx.Response:
        symbol = request.url.raw_path.decode().rpartition("/")[2]
        if status != 200:
            return httpx.Response(status, json={"code": "unauthorized", "detail": "no token"})
        if symbol not in SEEN:
            return httpx.Response(404, json={"code": "not_found", "detail": "no tick"})
        return httpx.Response(200, json={"symbol": symbol, "last_price": "1", "last_tick_at": SEEN[symbol]})

    return ApiClient("http://api", "token", httpx.MockTransport(answer))


@pytest.mark.parametrize(("seconds", "is_old"), [(4.999, True), (5, False), (6, False)])
def test_file_starting_before_last_tick_of_symbol_is_old(seconds: float, is_old: bool) -> None:
    said = warning([tick(seconds, 1000), tick(1, 1000, TCS)], api())
    assert (said is not None) == is_old
    if said is not None:
        assert "1 of 2 symbols have seen later ticks, e.g. NSE:INFY of 2026-01-13T03:45:05" in said


def test_uninformative_api_is_named_and_stops_nothing() -> None:
    said = warning([tick(1, 1000)], api(401))
    assert said is not None
    assert "no token" in said


def _with_a_bad_line(ticks: Iterable[RecordedTick]) -> Iterator[RecordedTick]:
    yield from ticks
    raise BadLine(Path("day.csv"), 3, "not a tick")


def test_a_bad_line_is_left_to_the_sending() -> None:
    assert warning(_with_a_bad_line([tick(1, 1000)]), api()) is not None
