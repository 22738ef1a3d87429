"""`exitflow replay` as its user sees it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

PLAN = {"target": "1010", "stop_loss": "990"}
BODY = {
    "symbol": "NSE:INFY", "direction": "LONG", "product_type": "MIS", "quantity": 100, "entry_price": "1000",
    "user_broker_id": "paper", "exit_plan": PLAN,
}  # fmt: skip
DUMP = """tradingsymbol;last_price;exchange_timestamp
INFY;0;2026-01-13 09:14:59
INFY;1000;2026-01-13 09:15:00
INFY;1006;2026-01-13 09:15:01
INFY;1004;2026-01-13 09:15:02
INFY;1010;2026-01-13 09:15:03
"""
OF_DUMP = (
    "--columns", "symbol=tradingsymbol,ltp=last_price,ts=exchange_timestamp", "--tz", "Asia/Kolkata", "--exchange",
    "NSE", "--skip-bad",
)  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A dump of ticks, a book and a tighter plan, by name."""
    (tmp_path / "dump.csv.gz").write_bytes(gzip.compress(DUMP.encode()))
    (tmp_path / "book.json").write_text(json.dumps([BODY]))
    (tmp_path / "tight.json").write_text('{"trailing_stop": {"amount": "2"}}')
    return {name: str(tmp_path / name) for name in ("dump.csv.gz", "book.json", "tight.json", "plot.svg")}


def test_replay_shows_exits_and_net_of_usual_dump(exitflow: Exitflow, files: dict[str, str]) -> None:
    result = exitflow("replay", files["dump.csv.gz"], "--book", files["book.json"], *OF_DUMP)
    assert result.status == 0
    assert "TARGET" in result.out
    assert "917.28" in result.out
    assert result.err == "left out 1 invalid lines\n"


def test_two_plans_stand_side_by_side(exitflow: Exitflow, files: dict[str, str]) -> None:
    options = ("--book", files["book.json"], "--compare", files["tight.json"], "--plot", files["plot.svg"])
    result = exitflow("replay", files["dump.csv.gz"], *options, *OF_DUMP, "--format", "json")
    found: dict[str, Any] = json.loads(result.out)
    assert [each["exit_reason"] for each in found["plan"]["exits"]] == ["TARGET"]
    assert [each["fill_price"] for each in found["compared"]["exits"]] == ["1004.00"]
    (row,) = found["by_trade"]
    assert (row["net_pnl"], row["compared_net_pnl"], row["difference"]) == ("917.28", "317.31", "-599.97")
    assert Path(files["plot.svg"]).read_text().startswith("<svg")
    assert "TRAILING_STOP" in exitflow("replay", files["dump.csv.gz"], *options, *OF_DUMP).out


def test_plot_is_png_with_pillow_or_tells_what_to_install(
    exitflow: Exitflow, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plotted = tmp_path / "pnl.png"
    options = ("replay", files["dump.csv.gz"], "--book", files["book.json"], *OF_DUMP, "--plot", str(plotted))
    assert exitflow(*options).status == 0
    assert plotted.read_bytes().startswith(b"\x89PNG")
    monkeypatch.delitem(sys.modules, "services.replay.plots.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    without = exitflow(*options)
    assert (without.status, "pip install 'exitflow[plot]'" in without.err) == (2, True)


def test_csv_has_a_row_for_each_exit(exitflow: Exitflow, files: dict[str, str]) -> None:
    options = ("--book", files["book.json"], "--plan", files["tight.json"], "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(exitflow("replay", files["dump.csv.gz"], *options, *OF_DUMP).out)))
    assert [(row["exit_reason"], row["fill_price"], row["quantity"]) for row in rows] == [
        ("TRAILING_STOP", "1004.00", "100")
    ]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--columns", "price=x"), "--columns"),
        (("--tz", "India"), "--tz"),
        (("--date", "today"), "--date"),
        (("--plot", "plot.gif"), ".svg or .png"),
        ((), "--columns"),
    ],
)
def test_wrong_options_are_refused(
    exitflow: Exitflow, files: dict[str, str], options: tuple[str, ...], what: str
) -> None:
    result = exitflow("replay", files["dump.csv.gz"], "--book", files["book.json"], *options)
    assert result.status != 0
    assert what in result.err


SIGNAL = {
    "trade_id": "00000000-0000-0000-0000-000000000001", "signal_id": "00000000-0000-0000-0000-000000000009",
    "symbol": "NSE:INFY", "direction": "LONG", "exit_reason": "TARGET", "leg": None, "episode_id": 1,
    "detected_price": "1010.00", "detected_at": "2026-01-13T03:45:03.000000Z",
}  # fmt: skip


@pytest.mark.parametrize(("price", "status"), [("1010.00", 0), ("1010.05", 1)])
def test_stored_exits_are_verified_and_a_changed_price_is_convicted(
    exitflow: Exitflow, files: dict[str, str], tmp_path: Path, price: str, status: int
) -> None:
    (tmp_path / "signals.jsonl").write_text(json.dumps(SIGNAL | {"detected_price": price}))
    options = ("--book", files["book.json"], "--verify", str(tmp_path / "signals.jsonl"), *OF_DUMP)
    result = exitflow("replay", files["dump.csv.gz"], *options)
    assert result.status == status
    assert ("detected_price is 1010.05, not 1010.00" in result.out) == bool(status)
    found = json.loads(exitflow("replay", files["dump.csv.gz"], *options, "--format", "json").out)
    assert (found["same"], len(found["differences"])) == (1 - status, status)


def test_a_verification_takes_the_plans_as_they_were(exitflow: Exitflow, files: dict[str, str]) -> None:
    options = ("--book", files["book.json"], "--verify", "x.jsonl", "--plan", files["tight.json"])
    assert exitflow("replay", files["dump.csv.gz"], *options, *OF_DUMP).status == 2


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ((), "name a FILE or a --topic"),
        (("day.csv", "--topic", "market.ticks.v1"), "name a FILE or a --topic"),
        (("day.csv", "--since", "2026-01-13T09:15:00Z"), "--since needs --topic"),
        (("--topic", "market.ticks.v1", "--columns", "ltp=price"), "--topic takes no options of recorded ticks"),
        (("--topic", "market.ticks.v1", "--from-offset", "0:-1"), "--from-offset takes"),
        (("--topic", "market.ticks.v1", "--from-offset", "1", "--since", "2026-01-13T09:15:00Z"), "not both"),
        (("--topic", "market.ticks.v1", "--since", "2026-01-13T09:15"), "--tz"),
        (("--topic", "market.ticks.v1", "--until", "yesterday"), "--until"),
    ],
)
def test_topic_replaces_file_only_with_its_own_options(
    exitflow: Exitflow, files: dict[str, str], options: tuple[str, ...], what: str
) -> None:
    result = exitflow("replay", *options, "--book", files["book.json"])
    assert result.status != 0
    assert what in " ".join(result.err.split())


def test_a_calendar_file_gives_square_off_times_without_a_database(
    exitflow: Exitflow, files: dict[str, str], tmp_path: Path
) -> None:
    calendar, book = tmp_path / "hours.toml", tmp_path / "squared.json"
    calendar.write_text(
        '[[calendars]]\nexchange = "NSE"\nvalid_from = "2026-01-01"\n'
        'sessions = [{ opens = "09:15", closes = "15:30" }]\nsquare_off = { MIS = "09:15:02" }\n'
    )
    book.write_text(json.dumps([BODY | {"exit_plan": {"square_off": True}}]))
    options = ("replay", files["dump.csv.gz"], "--book", str(book), *OF_DUMP, "--format", "json")
    assert json.loads(exitflow(*options).out)["exits"] == []
    (exit_,) = json.loads(exitflow(*options, "--calendar", str(calendar)).out)["exits"]
    assert (exit_["exit_reason"], exit_["filled_at"]) == ("TIME", "2026-01-13T03:45:02.000000Z")
    refused = exitflow(*options, "--calendar", files["book.json"])
    assert (refused.status, files["book.json"] in refused.err) == (1, True)


def test_a_symbol_without_exchange_is_completed_or_refused(exitflow: Exitflow, files: dict[str, str]) -> None:
    options = ("replay", files["dump.csv.gz"], "--book", files["book.json"], *OF_DUMP)
    assert "TARGET" in exitflow(*options, "--symbol", "INFY").out
    refused = exitflow(*options, "--symbol", "infy")
    assert (refused.status, "--symbol" in refused.err) == (2, True)


def test_a_tape_without_ticks_is_told(exitflow: Exitflow, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "header.csv").write_text("symbol,ltp,ts\n")
    result = exitflow("replay", str(tmp_path / "header.csv"), "--book", files["book.json"])
    assert (result.status, result.err) == (0, "no ticks were read\n")
