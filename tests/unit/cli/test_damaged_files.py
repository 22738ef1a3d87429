"""Every reader of a file of an operator, over damaged ones: it reads or refuses, and names the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.cli.commands import instruments, tokens
from services.cli.support.calendar_files import read_calendars
from services.cli.support.input_files import read_input_file
from services.replay.book import read_plan
from services.replay.stored import read_stored
from shared.contracts.charges import read_contract_note
from shared.contracts.corporate_actions import read_corporate_actions
from shared.errors import ExitflowError, InvalidInput

NOTE = "trade_id,leg,charge,amount\n00000000-0000-0000-0000-000000000001,ENTRY,BROKERAGE,12.50\n"
READERS: Final[Mapping[str, tuple[Callable[[Path], Any], str]]] = {
    "hours.toml": (
        read_calendars,
        '[[calendars]]\nexchange = "NSE"\nvalid_from = "2026-01-01"\n'
        'sessions = [{ opens = "09:15", closes = "15:30" }]\n',
    ),
    "hours.json": (read_calendars, '{"calendars": [{"exchange": "NSE", "valid_from": "2026-01-01"}]}'),
    "note.csv": (lambda file: read_input_file(file, read_contract_note), NOTE),
    "actions.csv": (
        lambda file: read_input_file(file, read_corporate_actions),
        "kind,symbol,effective_date,ratio\nSPLIT,NSE:INFY,2026-01-13,1:2\n",
    ),
    "instruments.csv": (
        lambda file: list(instruments._read(file, [])),
        "exchange,tradingsymbol,tick_size,lot_size\nNSE,INFY,0.05,1\n",
    ),
    "plan.json": (read_plan, '{"target": "1010"}'),
    "signals.jsonl": (read_stored, ""),
    "token": (tokens._read, "t" * 40),
}
SNIPPETS = [
    b'"', b"\x00", b"\xff", b"[" * 5_000, b'{"a":' * 5_000, b"a=" + b"[" * 5_000, b"\n", b"\r", b",", b";",
    b"9" * 5_000, b"1e400", b"NaN", b"null", b"-", "\u2028".encode(), b"x" * 140_000,
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """A text with parts of it replaced."""
    data = text.encode()
    for _ in range(draw(st.integers(0, 3))):
        at, upto = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        data = data[:at] + draw(st.sampled_from(SNIPPETS) | st.binary(max_size=5)) + data[upto:]
    return data


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_named(tmp_path: Path, name: str, data: st.DataObject) -> None:
    read, text = READERS[name]
    (tmp_path / name).write_bytes(data.draw(damaged(text)))
    try:
        read(tmp_path / name)
    except ExitflowError as error:
        assert name in str(error)


@pytest.mark.parametrize("name", READERS)
def test_a_directory_and_a_missing_file_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "in" / name).mkdir(parents=True)
    for file in (tmp_path / "in" / name, tmp_path / name):
        with pytest.raises(ExitflowError, match=name):
            READERS[name][0](file)


def test_an_amount_with_a_comma_is_refused(tmp_path: Path) -> None:
    """Without quotes it is two fields, and the first would be the amount."""
    (tmp_path / "note.csv").write_text(NOTE.replace("12.50", "1,234.50"))
    with pytest.raises(InvalidInput, match="line 2: more fields"):
        READERS["note.csv"][0](tmp_path / "note.csv")


SPREADSHEETS = st.fixed_dictionaries(
    {
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
        "newline": st.sampled_from(["\n", "\r\n", "\r"]),
        "delimiter": st.sampled_from(",;\t|"),
        "quote": st.sampled_from(["", '"']),
        "columns": st.permutations(["trade_id", "leg", "charge", "amount"]),
        "twice": st.sampled_from([None, "amount", "leg"]),
        "below": st.lists(st.sampled_from(["", " ", ",,,", ";;;"]), max_size=3),
    }
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=SPREADSHEETS)
def test_any_spreadsheet_gives_the_same_note_or_an_error(tmp_path: Path, written: dict[str, Any]) -> None:
    note = tmp_path / "note.csv"
    note.write_text(NOTE)
    (meant,) = read_input_file(note, read_contract_note)
    values = dict(zip(*(line.split(",") for line in NOTE.split()), strict=True))
    other = {"amount": "99.00", "leg": "EXIT"}
    columns, twice, quote = written["columns"], written["twice"], written["quote"]
    rows = [columns, [values[name] for name in columns]]
    if twice is not None:
        rows = [[*rows[0], twice], [*rows[1], other[twice]]]
    lines = [written["delimiter"].join(f"{quote}{field}{quote}" for field in row) for row in rows]
    note.write_bytes(written["newline"].join([*lines, *written["below"]]).encode(written["encoding"]))
    try:
        (found,) = read_input_file(note, read_contract_note)
    except InvalidInput as error:
        assert "note.csv" in str(error)
        assert twice or written["encoding"].startswith("utf-16") or any(written["below"])
    else:
        assert (twice, found) == (None, meant)


def test_rows_without_text_and_a_doubled_column(tmp_path: Path) -> None:
    note = tmp_path / "note.csv"
    note.write_text(NOTE + ",,,\n  \n,,,\n")
    assert len(read_input_file(note, read_contract_note)) == 1
    note.write_text(NOTE.replace("amount", "amount,amount", 1))
    with pytest.raises(InvalidInput, match="names amount twice"):
        read_input_file(note, read_contract_note)
