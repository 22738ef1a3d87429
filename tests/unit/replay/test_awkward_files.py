"""Files as people have them: damaged, empty, from other tools. A reader names the fault and never breaks."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from services.replay.book import read_book
from services.replay.tape.format import TapeFormat
from services.replay.tape.reading import Tape
from services.replay.tape.recorded import RecordedTick
from shared.errors import InvalidInput

IST = ZoneInfo("Asia/Kolkata")
TICKS = "symbol,ltp,ts,seq\nNSE:INFY,1000,2026-01-13T03:45:00Z,1\nNSE:INFY,1011,2026-01-13T03:45:01Z,2\n"
LINES = "".join(
    json.dumps({"symbol": "NSE:INFY", "ltp": "1000", "ts": "2026-01-13T03:45:00Z", "seq": seq}) + "\n" for seq in (1, 2)
)
BOOK = "symbol,direction,quantity,entry_price,target\nNSE:INFY,LONG,100,1000,1010\n"
BOOK_LINE = (
    '{"symbol":"NSE:INFY","direction":"LONG","quantity":100,"entry_price":"1000","exit_plan":{"target":"1010"}}\n'
)
WHOLE = [
    TICKS.encode(), LINES.encode(), json.dumps([json.loads(line) for line in LINES.splitlines()]).encode(),
    gzip.compress(TICKS.encode()), BOOK.encode(), BOOK_LINE.encode(), b"\xef\xbb\xbf" + TICKS.encode(),
    b"PAR1" + b"x" * 20 + b"PAR1",
]  # fmt: skip
SNIPPETS = [
    b'"', b"\x00", b"\xff", b"[" * 5_000, b'{"a":' * 5_000, b"\n", b"\r", b",", b";", b"\x1f\x8b", b"9" * 5_000,
    b"1e400", b"NaN", b"null", b"Infinity", b"-", "\u2028".encode(), b"x" * 140_000,
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file with some parts cut out, doubled or replaced."""
    data = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(0, 3))):
        at, upto = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        data = data[:at] + draw(st.sampled_from(SNIPPETS) | st.binary(max_size=5)) + data[upto:]
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(), skip_bad=st.booleans())
@pytest.mark.parametrize("reader", ["tape", "book"])
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, reader: str, data: bytes, *, skip_bad: bool) -> None:
    """Either outcome is right; another exception is not."""
    file = tmp_path / "file"
    file.write_bytes(data)
    try:
        if reader == "book":
            assert all(each.trade.quantity > 0 for each in read_book(file))
        else:
            assert all(each.price > 0 for each in Tape(file, TapeFormat(skip_bad=skip_bad, zone=IST)))
    except InvalidInput as error:
        assert "file" in str(error)


@pytest.mark.parametrize("header", ['"symbol,ltp,ts\n', 'symbol,"lt"p,ts\n', '"\n'])
def test_a_header_with_a_wrong_quote_is_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidInput, match="line 1: the header is not CSV"):
        list(_ticks(tmp_path, header + TICKS))


def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    assert [each.line for each in _ticks(tmp_path, "\n\n" + TICKS)] == [4, 5]
    assert [each.line for each in _ticks(tmp_path, "\n\n" + LINES)] == [3, 4]


@pytest.mark.parametrize(
    ("written", "seq"), [("7.0", 7), ("7.", 7), ("007", 7), ("", 0), ("9223372036854775807", 2**63 - 1)]
)
def test_whole_numbers_are_read_as_spreadsheets_write_them(tmp_path: Path, written: str, seq: int) -> None:
    (tick,) = _ticks(tmp_path, f"symbol,ltp,ts,seq\nNSE:INFY,10,2026-01-13T03:45:00Z,{written}\n")
    assert tick.seq == seq


@pytest.mark.parametrize("written", ["7.5", "1e3", "-7", "9223372036854775808", "inf", "true", "\u0667"])
def test_another_seq_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(InvalidInput, match="seq"):
        list(_ticks(tmp_path, f"symbol,ltp,ts,seq\nNSE:INFY,10,2026-01-13T03:45:00Z,{written}\n"))


@pytest.mark.parametrize("seq", ["7.5", "true", '"7.5"', "1e30"])
def test_another_seq_in_json_is_refused(tmp_path: Path, seq: str) -> None:
    with pytest.raises(InvalidInput, match="seq"):
        list(_ticks(tmp_path, f'{{"symbol":"NSE:INFY","ltp":1,"ts":"2026-01-13T03:45:00Z","seq":{seq}}}\n'))


def test_a_book_row_with_too_many_fields_is_refused(tmp_path: Path) -> None:
    """Two legs without quotes would be one leg."""
    file = tmp_path / "book.csv"
    file.write_text("symbol,direction,quantity,entry_price,targets\nNSE:INFY,LONG,100,1000,1010:50,1020:50\n")
    with pytest.raises(InvalidInput, match="line 2: more fields"):
        read_book(file)


def test_a_book_is_read_with_spaces_and_any_delimiter(tmp_path: Path) -> None:
    for text in (BOOK.replace(",", ", "), BOOK.replace(",", "\t"), "\n" + BOOK.replace(",", ";")):
        file = tmp_path / "book.csv"
        file.write_text(text)
        assert [each.trade.quantity for each in read_book(file)] == [100]


AT = datetime(2026, 1, 13, 3, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("timestamp[ns, UTC]", 1768275900_000000001, TapeFormat()),
        ("timestamp[ns]", 1768295700_000000001, TapeFormat(zone=IST)),
        ("timestamp[us, UTC]", AT, TapeFormat()),
        ("time64[ns]", time(9, 15), TapeFormat(zone=IST, date=date(2026, 1, 13))),
        ("string", "2026-01-13T03:45:00Z", TapeFormat()),
    ],
)
def test_times_of_parquet_are_read_in_every_type(tmp_path: Path, kind: str, value: Any, told: TapeFormat) -> None:
    types = {
        "timestamp[ns, UTC]": pyarrow.timestamp("ns", "UTC"), "timestamp[ns]": pyarrow.timestamp("ns"),
        "timestamp[us, UTC]": pyarrow.timestamp("us", "UTC"), "time64[ns]": pyarrow.time64("ns"),
        "string": pyarrow.string(),
    }  # fmt: skip
    seqs = pyarrow.array([float("nan")], pyarrow.float64())
    stamps = pyarrow.array([value], types[kind])
    (tick,) = _parquet(tmp_path, {"symbol": ["NSE:INFY"], "ltp": [10.0], "ts": stamps, "seq": seqs}, told)
    assert (tick.ts_us, tick.seq) == (int(AT.timestamp()) * 1_000_000, 0)


def test_daily_candles_of_parquet_begin_at_midnight(tmp_path: Path) -> None:
    columns = {"date": [date(2026, 1, 13)], "open": [10.0], "high": [12.0], "low": [9.0], "close": [11.0]}
    read = _parquet(tmp_path, columns, TapeFormat(symbol="NSE:INFY", zone=IST))
    assert {each.ts_us for each in read} == {int(datetime(2026, 1, 13, tzinfo=IST).timestamp()) * 1_000_000}


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + b"x" * 500, b"PAR1" + b"x" * 20 + b"\x10\x00\x00\x00PAR1"])
def test_damaged_parquet_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "broken.parquet"
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match="broken"):
        list(Tape(file, TapeFormat()))


def test_gzipped_parquet_is_read(tmp_path: Path) -> None:
    columns = {"symbol": ["NSE:INFY"], "ltp": ["10"], "ts": [AT.isoformat()], "seq": [1]}
    plain = _parquet(tmp_path, columns, TapeFormat())
    file = tmp_path / "ticks.parquet.gz"
    file.write_bytes(gzip.compress((tmp_path / "ticks.parquet").read_bytes()))
    assert list(Tape(file, TapeFormat())) == plain
    assert [each.seq for each in plain] == [1]


def _ticks(directory: Path, text: str) -> list[RecordedTick]:
    file = directory / "ticks"
    file.write_text(text, newline="")
    return list(Tape(file, TapeFormat()))


def _parquet(directory: Path, columns: dict[str, Any], told: TapeFormat) -> list[RecordedTick]:
    file = directory / "ticks.parquet"
    parquet.write_table(pyarrow.table(columns), file)
    return list(Tape(file, told))


@pytest.mark.parametrize(
    ("text", "paise"),
    [("1,500.25", 150_025), ("1,23,456.00", 12_345_600), ("12,345.5", 1_234_550), (" 1,500.25 ", 150_025)],
)
def test_thousands_may_be_set_off(tmp_path: Path, text: str, paise: int) -> None:
    file = tmp_path / "day.csv"
    file.write_text(f'symbol;ltp;ts\nNSE:INFY;"{text}";2026-01-13T03:45:00Z\n')
    (tick,) = Tape(file, TapeFormat())
    assert tick.price == paise * 100


@pytest.mark.parametrize("text", ["1,500", "1500,25", "1,5,00.00", ",500.00", "1,500.", "15,00.25,3"])
def test_a_comma_of_two_meanings_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "day.csv"
    file.write_text(f'symbol;ltp;ts\nNSE:INFY;"{text}";2026-01-13T03:45:00Z\n')
    with pytest.raises(InvalidInput, match="comma"):
        list(Tape(file, TapeFormat()))


@pytest.mark.parametrize("day", ["13-01-2026", "13/01/2026", "2026-01-13"])
def test_a_time_may_have_two_columns(tmp_path: Path, day: str) -> None:
    file = tmp_path / "day.csv"
    file.write_text(f"Ticker,Date,Time,LTP\nINFY,{day},09:15:01,1500.25\n")
    told = TapeFormat({"symbol": "Ticker", "ts": "date+time"}, exchange="NSE", zone=IST)
    (tick,) = Tape(file, told)
    assert datetime.fromtimestamp(tick.ts_us / 1e6, IST) == datetime(2026, 1, 13, 9, 15, 1, tzinfo=IST)


def test_a_missing_part_of_a_time_is_named(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("symbol,Date,ltp\nNSE:INFY,13-01-2026,1500.25\n")
    with pytest.raises(InvalidInput, match="missing: ts"):
        list(Tape(file, TapeFormat({"ts": "Date+Time"}, zone=IST)))
