"""Reading recorded ticks."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pytest
from pyarrow import parquet

from services.replay.tape.format import CandlePath, Epoch, TapeFormat
from services.replay.tape.reading import Tape
from services.replay.tape.recorded import BadLine, RecordedTick
from shared.errors import InvalidInput

HEADER = "symbol,ltp,ts,seq\n"
GOOD = "NSE:INFY,1520.35,2026-01-13T09:15:00.123Z,1\n"


IST = ZoneInfo("Asia/Kolkata")
OPENING = 1768275900_000000
"""2026-01-13 09:15 in Asia/Kolkata, in microseconds."""


def read_ticks(file: Path, from_line: int = 1, **told: Any) -> Iterator[RecordedTick]:
    return iter(Tape(file, TapeFormat(**told), from_line))


def facts(ticks: Iterator[RecordedTick]) -> list[tuple[str, int, int, int]]:
    return [(each.symbol, each.price, each.ts_us, each.seq) for each in ticks]


def written(directory: Path, text: str) -> Path:
    """A file with this text."""
    file = directory / "ticks"
    file.write_text(text)
    return file


def test_csv_with_header_keeps_order_and_line_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER + GOOD + GOOD.replace("1520.35", "1521").replace(",1\n", ",2\n"))
    ticks = list(read_ticks(file))
    assert [(each.line, each.tick.ltp, each.seq) for each in ticks] == [
        (2, Decimal("1520.35"), 1),
        (3, Decimal("1521"), 2),
    ]


def test_seq_may_be_missing(tmp_path: Path) -> None:
    file = written(tmp_path, "symbol,ltp,ts\nNSE:INFY,1520.35,2026-01-13T09:15:00Z\n")
    assert next(read_ticks(file)).seq == 0


def test_json_lines_are_read_and_empty_ones_skipped(tmp_path: Path) -> None:
    line = '{"symbol":"NSE:INFY","ltp":"1520.35","ts":"2026-01-13T09:15:00.123Z","seq":1}\n'
    ticks = list(read_ticks(written(tmp_path, line + "\n" + line)))
    assert [each.line for each in ticks] == [1, 3]


def test_from_line_leaves_out_what_stands_before(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER + GOOD * 3)
    assert [each.line for each in read_ticks(file, from_line=3)] == [3, 4]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEADER + GOOD + "NSE:INFY,zero,2026-01-13T09:15:00Z,1\n", 3, "ltp"),
        (HEADER + "NSE:INFY,0,2026-01-13T09:15:00Z,1\n", 2, "ltp"),
        (HEADER + "NSE:INFY,10,yesterday,1\n", 2, "ts"),
        (HEADER + "NSE:INFY,10,1768295700,1\n", 2, "ts"),
        (HEADER + "NSE:INFY,10,2026-01-13T14:45:00,1\n", 2, "--tz"),
        (HEADER + "NSE:INFY,10,14:45:00,1\n", 2, "--date"),
        (HEADER + "NSE:INFY,10,3026-01-13T14:45:00Z,1\n", 2, "2199"),
        (HEADER + "INFY,10,2026-01-13T14:45:00Z,1\n", 2, "--exchange"),
        (HEADER + "NSE:INFY,10,2026-01-13T14:45:00Z,-1\n", 2, "seq"),
        ("symbol,date,open,high,low,close\nNSE:INFY,2026-01-13T14:45:00Z,10,9,8,9\n", 2, "extremes"),
        ('[{"symbol":"NSE:INFY","ltp":"1","ts":"2026-01-13T09:15:00Z"}, 7]', 2, "object"),
        ('{"symbol":"NSE:INFY","price":"1"}\n', 1, "--columns ltp=NAME,ts=NAME"),
        ('{"symbol":"NSE:INFY","ltp":"1","ts":1768295700}\n', 1, "ts"),
        (HEADER + "NSE:INFY,1e1000000,2026-01-13T09:15:00Z,1\n", 2, "ltp"),
        (HEADER + "NSE:INFY,10,2026-01-13T09:15:00Z,1,more\n", 2, "more fields"),
        (HEADER + "NSE:INFY,10\n", 2, "ts"),
        ("symbol,price\nNSE:INFY,10\n", 1, "ltp, ts"),
        ('{"symbol":"NSE:INFY","ltp":"1","ts":"2026-01-13T09:15:00Z"}\n{"symbol"\n', 2, "JSON"),
        ("", 1, "header"),
    ],
)
def test_bad_line_is_named_after_all_lines_before_it(tmp_path: Path, text: str, line: int, what: str) -> None:
    given: list[Any] = []
    with pytest.raises(BadLine, match=what) as caught:
        given.extend(read_ticks(written(tmp_path, text)))
    assert caught.value.line == line
    assert f"line {line}:" in str(caught.value)


def test_bad_line_does_not_lose_earlier_good_lines(tmp_path: Path) -> None:
    ticks = read_ticks(written(tmp_path, HEADER + GOOD + "rubbish\n"))
    assert next(ticks).line == 2
    with pytest.raises(BadLine):
        next(ticks)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        next(read_ticks(tmp_path / "nowhere"))


DUMP = """instrument_token,tradingsymbol,last_price,exchange_timestamp
408065,INFY,1520.3500000000001,2026-01-13 09:15:00
408065,INFY,1521,2026-01-13 09:15:01.5
"""
DUMPED = [("NSE:INFY", 15203500, OPENING, 0), ("NSE:INFY", 15210000, OPENING + 1_500_000, 0)]
OF_DUMP: dict[str, Any] = {
    "columns": {"symbol": "tradingsymbol", "ltp": "last_price", "ts": "exchange_timestamp"},
    "exchange": "NSE",
    "zone": IST,
}
CANDLES = """date,open,high,low,close,volume
2026-01-13T09:15:00+0530,100,104,98,103,5000
2026-01-13T09:16:00+0530,103,105,97,99,5000
"""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.rstrip().encode(),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").replace(",", ";").encode()),
    ],
    ids=["plain", "bom", "crlf", "semicolons", "tabs", "no last newline", "gzip", "all"],
)
def test_a_dump_is_read_in_every_form_it_comes_in(tmp_path: Path, change: Any) -> None:
    file = tmp_path / "dump"
    file.write_bytes(change(DUMP))
    assert facts(read_ticks(file, **OF_DUMP)) == DUMPED


@pytest.mark.parametrize("form", ["array", "lines"])
def test_json_is_read_as_an_array_and_as_lines(tmp_path: Path, form: str) -> None:
    rows = [
        {"tradingsymbol": "INFY", "last_price": 1520.3500000000001, "exchange_timestamp": "2026-01-13 09:15:00"},
        {"tradingsymbol": "INFY", "last_price": 1521, "exchange_timestamp": "2026-01-13T09:15:01.5+05:30", "x": [1]},
    ]
    text = json.dumps(rows, indent=1) if form == "array" else "\n".join(map(json.dumps, rows))
    assert facts(read_ticks(written(tmp_path, text), **OF_DUMP)) == DUMPED


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    file = tmp_path / "ticks.parquet"
    stamps = [datetime(2026, 1, 13, 9, 15), datetime(2026, 1, 13, 9, 15, 1, 500_000)]  # noqa: DTZ001
    columns = {"tradingsymbol": ["INFY"] * 2, "last_price": [1520.35, 1521.0], "exchange_timestamp": stamps}
    parquet.write_table(pyarrow.table(columns), file)
    assert facts(read_ticks(file, **OF_DUMP)) == DUMPED


def test_parquet_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ticks.parquet"
    file.write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidInput, match=r"exitflow\[parquet\]"):
        next(read_ticks(file))


@pytest.mark.parametrize(
    ("unit", "stamp"),
    [
        (Epoch.SECONDS, "1768275900"),
        (Epoch.SECONDS, "1768275900.000000"),
        (Epoch.MILLISECONDS, "1768275900000"),
        (Epoch.MICROSECONDS, "1768275900000000"),
    ],
)
def test_times_that_are_numbers_have_the_unit_that_is_given(tmp_path: Path, unit: Epoch, stamp: str) -> None:
    file = written(tmp_path, f"symbol,ltp,ts\nNSE:INFY,10,{stamp}\n")
    assert facts(read_ticks(file, epoch=unit)) == [("NSE:INFY", 100_000, OPENING, 0)]


def test_time_of_day_takes_given_date(tmp_path: Path) -> None:
    file = written(tmp_path, "ltp,ts\n10,09:15:00\n11,9:15:00.25\n")
    read = read_ticks(file, symbol="NSE:INFY", zone=IST, date=date(2026, 1, 13))
    assert [each.ts_us for each in read] == [OPENING, OPENING + 250_000]


def test_only_given_symbol_and_day_are_read(tmp_path: Path) -> None:
    text = HEADER + GOOD + GOOD.replace("INFY", "TCS") + GOOD.replace("-13T", "-14T")
    read = read_ticks(written(tmp_path, text), symbol="NSE:INFY", date=date(2026, 1, 13))
    assert [each.line for each in read] == [2]


def test_candle_gives_four_ticks_nearer_extreme_first(tmp_path: Path) -> None:
    read = list(read_ticks(written(tmp_path, CANDLES), symbol="NSE:INFY"))
    assert [each.price // 10_000 for each in read] == [100, 98, 104, 103, 103, 105, 97, 99]
    assert [each.ts_us for each in read] == [OPENING] * 4 + [OPENING + 60_000_000] * 4
    assert [each.seq for each in read] == [0, 1, 2, 3] * 2
    assert [each.between for each in read] == [False, True, True, True] * 2


ANSWER = {
    "status": "success",
    "data": {
        "candles": [
            ["2026-01-13T09:15:00+0530", 100, 104, 98, 103, 5000],
            ["2026-01-13T09:16:00+0530", 103, 105, 97, 99, 1],
        ]
    },
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER),
        "\n" + json.dumps(ANSWER, indent=2),
        "".join(
            json.dumps({"data": {"candles": [candle, None][: 1 + bad]}}) + "\n\n"
            for bad, candle in enumerate(ANSWER["data"]["candles"])  # type: ignore[index]
        ),
    ],
    ids=["one line", "several lines", "an answer on each line"],
)
def test_candles_are_read_as_kite_answers_them(tmp_path: Path, text: str) -> None:
    tape = Tape(written(tmp_path, text), TapeFormat(symbol="NSE:INFY", skip_bad=True))
    assert [each.price // 10_000 for each in tape] == [100, 98, 104, 103, 103, 105, 97, 99]
    assert tape.skipped == text.count("null")


@pytest.mark.parametrize("change", [str.title, str.upper, str.lower])
def test_columns_are_found_in_capitals_or_not(tmp_path: Path, change: Callable[[str], str]) -> None:
    header, rest = CANDLES.split("\n", 1)
    read = list(read_ticks(written(tmp_path, f"{change(header)}\n{rest}"), symbol="NSE:INFY"))
    assert [each.price // 10_000 for each in read] == [100, 98, 104, 103, 103, 105, 97, 99]


def test_of_columns_alike_the_one_of_the_name_counts(tmp_path: Path) -> None:
    text = "symbol,LTP,ltp,Ltp,ts\nNSE:INFY,1,10,2,2026-01-13T09:15:00Z\n"
    assert next(read_ticks(written(tmp_path, text))).price == 10_0000


@pytest.mark.parametrize(("path", "second"), [(CandlePath.HIGH_FIRST, 104), (CandlePath.LOW_FIRST, 98)])
def test_the_path_of_a_candle_can_be_chosen(tmp_path: Path, path: CandlePath, second: int) -> None:
    read = list(read_ticks(written(tmp_path, CANDLES), symbol="NSE:INFY", candles=path))
    assert read[1].price == second * 10_000


def test_bad_lines_are_left_out_and_counted_when_asked_for(tmp_path: Path) -> None:
    text = HEADER + GOOD.replace("1520.35", "0") * 3 + GOOD + "rubbish\n" + GOOD + 'NSE:INFY,"10,1\n'
    tape = Tape(written(tmp_path, text), TapeFormat(skip_bad=True))
    assert [each.line for each in tape] == [5, 7]
    assert tape.skipped == 5


def test_bad_json_lines_are_left_out_even_at_the_start(tmp_path: Path) -> None:
    line = '{"symbol":"NSE:INFY","ltp":"1520.35","ts":"2026-01-13T09:15:00.123Z"}\n'
    tape = Tape(written(tmp_path, '{"type":"hello"}\n{"\n' + line), TapeFormat(skip_bad=True))
    assert [each.line for each in tape] == [3]
    assert tape.skipped == 2


def test_header_without_columns_lists_present_ones_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadLine, match=r"missing: ltp, symbol, ts; the file has .*last_price.*--columns ltp=NAME"):
        list(read_ticks(written(tmp_path, DUMP)))


def test_the_recorded_arrival_counts_for_the_engine(tmp_path: Path) -> None:
    file = written(tmp_path, "symbol,ltp,ts,arrived\nNSE:INFY,10,2026-01-13T03:45:00Z,2026-01-13T03:45:02Z\n")
    assert next(read_ticks(file)).at_ms == OPENING // 1000 + 2000


def test_a_recorded_tick_is_one_of_the_topic(tmp_path: Path) -> None:
    tick = next(read_ticks(written(tmp_path, HEADER + GOOD))).tick
    assert (tick.symbol, tick.ltp, tick.seq) == ("NSE:INFY", Decimal("1520.35"), 1)
    assert tick.ts == datetime(2026, 1, 13, 9, 15, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("broken", [b"\x1f\x8bnot gzip", gzip.compress(DUMP.encode())[:-9], b"symbol,\xff\n"])
def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "broken"
    file.write_bytes(broken)
    with pytest.raises(InvalidInput, match="broken"):
        list(read_ticks(file, **OF_DUMP))
