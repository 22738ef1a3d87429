"""Reading recorded ticks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.cli.support.tick_files import BadLine, read_ticks
from shared.errors import InvalidInput

HEADER = "symbol,ltp,ts,seq\n"
GOOD = "NSE:INFY,1520.35,2026-01-13T09:15:00.123Z,1\n"


def written(directory: Path, text: str) -> Path:
    """A file with this text."""
    file = directory / "ticks"
    file.write_text(text)
    return file


def test_csv_with_the_header_is_read_in_order_with_its_line_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER + GOOD + GOOD.replace("1520.35", "1521").replace(",1\n", ",2\n"))
    ticks = list(read_ticks(file))
    assert [(each.line, each.tick.ltp, each.tick.seq) for each in ticks] == [
        (2, Decimal("1520.35"), 1),
        (3, Decimal("1521"), 2),
    ]


def test_seq_may_be_missing(tmp_path: Path) -> None:
    file = written(tmp_path, "symbol,ltp,ts\nNSE:INFY,1520.35,2026-01-13T09:15:00Z\n")
    assert next(read_ticks(file)).tick.seq == 0


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
        (HEADER + "NSE:INFY,10,2026-01-13T14:45:00+05:30,1\n", 2, "ts"),
        ('{"symbol":"NSE:INFY","ltp":"1","ts":1768295700}\n', 1, "ts"),
        (HEADER + "NSE:INFY,1e1000000,2026-01-13T09:15:00Z,1\n", 2, "ltp"),
        (HEADER + "NSE:INFY,10,2026-01-13T09:15:00Z,1,more\n", 2, "more fields"),
        (HEADER + "NSE:INFY,10\n", 2, "ts"),
        ("symbol,price\nNSE:INFY,10\n", 1, "ltp, ts"),
        ('{"symbol":"NSE:INFY","ltp":"1","ts":"2026-01-13T09:15:00Z"}\n{"symbol"\n', 2, "JSON"),
        ("", 1, "header"),
    ],
)
def test_a_bad_line_is_named_after_all_before_it_were_given(tmp_path: Path, text: str, line: int, what: str) -> None:
    given: list[Any] = []
    with pytest.raises(BadLine, match=what) as caught:
        given.extend(read_ticks(written(tmp_path, text)))
    assert caught.value.line == line
    assert f"line {line}:" in str(caught.value)


def test_a_bad_line_does_not_lose_the_good_ones_before_it(tmp_path: Path) -> None:
    ticks = read_ticks(written(tmp_path, HEADER + GOOD + "rubbish\n"))
    assert next(ticks).line == 2
    with pytest.raises(BadLine):
        next(ticks)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        next(read_ticks(tmp_path / "nowhere"))
