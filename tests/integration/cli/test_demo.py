"""`exitflow demo`, and the commands on its stack."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wanted_kafka
from tests.integration.cli.documented_page import DocumentedPage
from tests.support.servers import server_directory
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
LIMIT_S = 200
DOCS = Path(__file__).resolve().parents[3] / "docs"
UNTRADED = "NSE:ITC"
TUTORIAL = DOCS / "tutorial" / "first-exit.md"
FIXTURE_PAGE = DOCS / "how-to" / "test-against-a-stack.md"


def run_apart(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`exitflow` in a process of its own, as the stack's parent must be."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ},
    )


@pytest.fixture(scope="module")
def data_dir() -> Iterator[str]:
    """A running stack for the module's tests."""
    with server_directory("cli") as directory, running_stack(str(directory / "stack")) as running:
        yield running


@contextmanager
def running_stack(directory: str) -> Iterator[str]:
    """A stack, stopped afterwards."""
    started = run_apart("up", "--detach", "--data-dir", directory, "--kafka", wanted_kafka().value)
    try:
        assert started.returncode == 0, started.stderr
        yield directory
    finally:
        assert run_apart("down", "--data-dir", directory).returncode == 0


def test_the_demo_closes_every_trade_and_everything_holds(data_dir: str) -> None:
    ended = run_apart("demo", "--trades", "40", "--symbols", "4", "--data-dir", data_dir, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert len(told["trades"]) == 40
    assert all(trade["status"] == "CLOSED" for trade in told["trades"])
    assert [each["invariant"] for each in told["invariants"]] == ["1", "2", "3", "4", "5", "6", "7", "B"]
    assert all(each["holds"] and each["checked"] > 0 for each in told["invariants"])
    assert sum(float(trade["net_pnl"]) for trade in told["trades"]) == pytest.approx(float(told["totals"]["net_pnl"]))


def test_a_trade_opened_and_forced_out_from_the_command_line(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir, "--json")
    assert exitflow("ticks", "send", "NSE:WIPRO", "500", *at).status == 0
    opened = exitflow("trades", "open", "NSE:WIPRO", "LONG", "10", "--entry", "500", "--stop-loss", "450", *at)
    assert opened.status == 0, opened.err
    trade_id = json.loads(opened.out)["trade_id"]
    shown = exitflow("trades", "show", trade_id, "--timeline", *at)
    assert json.loads(shown.out)["timeline"][0]["kind"] == "OPENED"
    intent = force(exitflow, trade_id, at)
    assert intent["exit_reason"] == "MANUAL"
    assert json.loads(exitflow("exits", "show", str(intent["intent_id"]), *at).out)["trade_id"] == trade_id
    assert exitflow("exits", "pending", *at).status == 0
    assert trade_id in exitflow("trades", "list", "--symbol", "NSE:WIPRO", "--data-dir", data_dir).out


def force(exitflow: Exitflow, trade_id: str, at: tuple[str, ...]) -> dict[str, object]:
    """A manual exit, tried until the trade is known on the exit side."""
    for _ in range(50):
        forced = exitflow("exits", "force", trade_id, "--note", "a test", *at)
        if forced.status == 0:
            intent: dict[str, object] = json.loads(forced.out)
            return intent
        assert "404" in forced.err, forced.err
    raise AssertionError("the trade did not reach the exit side")


def test_ladder_exits_each_leg_and_breakeven_stop_takes_rest(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir, "--json")
    assert exitflow("ticks", "send", "NSE:ONGC", "1000", *at).status == 0
    ladder = ("--targets", "1010:50%,1020:25%,1030:25%", "--after-leg", "1:break_even", "--stop-loss", "990")
    opened = exitflow("trades", "open", "NSE:ONGC", "LONG", "100", "--entry", "1000", *ladder, *at)
    assert opened.status == 0, opened.err
    trade_id = json.loads(opened.out)["trade_id"]

    def trade() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(exitflow("trades", "show", trade_id, "--timeline", *at).out)
        return found

    def stop() -> str:
        rules = json.loads(exitflow("exits", "why", trade_id, *at).out)["rules"]
        return str(next(rule["level"] for rule in rules if rule["exit_reason"] == "STOP_LOSS"))

    for price, left in (("1011", 50), ("1021", 25)):
        assert exitflow("ticks", "send", "NSE:ONGC", price, *at).status == 0
        wait_until(lambda left=left: trade()["open_quantity"] == left, f"{left} are left")  # type: ignore[misc]
    wait_until(lambda: stop() == "1000.00", "the stop is at the entry")
    assert exitflow("ticks", "send", "NSE:ONGC", "1000", *at).status == 0
    wait_until(lambda: trade()["status"] == "CLOSED", "the stop takes the rest")
    closed = trade()
    assert closed["exit_reason"] == "STOP_LOSS"
    assert (closed["gross_pnl"], closed["charges"], closed["net_pnl"]) == ("1075.00", "94.91", "980.09")
    closures = [step for step in closed["timeline"] if step["kind"] == "CLOSURE"]
    parts = [(step["leg"], step["quantity"], step["gross_pnl"]) for step in closures]
    assert parts == [(1, 50, "550.00"), (2, 25, "525.00"), (None, 25, "0.00")]


def test_tutorial_ends_with_closed_trade_and_consistent_books(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir)
    commands = tutorial_commands()
    assert [words[0] for words in commands] == [
        *("status", "trades", "ticks", "trades"),
        *("ticks", "exits", "trades", "check"),
    ]
    for words in commands:
        if words[0] == "check":
            wait_until(
                lambda: "CLOSED" in exitflow("trades", "list", "--symbol", UNTRADED, *at).out, "the trade closes"
            )
        done = exitflow(*words, *at)
        assert done.status == 0, (words, done.err)
    closed = json.loads(exitflow("trades", "list", "--symbol", UNTRADED, *at, "--json").out)[0]
    assert (closed["exit_price"], closed["gross_pnl"]) == ("1012.00", "1200.00")


def test_other_teams_test_against_the_stack_as_documented(data_dir: str, tmp_path: Path) -> None:
    (sample,) = re.findall(r"```python\n(.*?)```", FIXTURE_PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_sample.py").write_text(sample)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--exitflow-data-dir", data_dir]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (ended.returncode, "1 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def tutorial_commands() -> list[list[str]]:
    """Return the commands of the tutorial in its order, without starting and stopping the stack.

    The symbol is one without trades of the demo: its last price would meet the target.
    """
    text = TUTORIAL.read_text().replace("NSE:INFY", UNTRADED)
    lines = [line for line in text.splitlines() if line.startswith("exitflow ")]
    return [words for line in lines if (words := shlex.split(line)[1:])[0] not in ("up", "down")]


def test_the_same_key_opens_one_trade(data_dir: str, exitflow: Exitflow) -> None:
    form = ("NSE:TITAN", "LONG", "10", "--entry", "500", "--target", "600", "--key", "once")
    first, second = (exitflow("trades", "open", *form, "--data-dir", data_dir, "--json") for _ in range(2))
    assert json.loads(first.out) == json.loads(second.out)
    other = exitflow("trades", "open", *form, "--broker", "other", "--data-dir", data_dir)
    assert other.status == 1
    assert "409 idempotency_key_reused" in other.err


def test_a_trade_that_cannot_be_is_refused_in_one_line(data_dir: str, exitflow: Exitflow) -> None:
    refused = exitflow(
        "trades", "open", "NSE:TITAN", "LONG", "10", "--entry", "500", "--target", "400", "--data-dir", data_dir
    )
    assert refused.status == 1
    assert "target" in refused.err
    assert refused.err.count("\n") == 1


def test_switches_are_shown_and_set(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir, "--json")
    assert json.loads(exitflow("exits", "kill-switch", "ENTRIES_ONLY", "--reason", "a test", *at).out)["mode"] == (
        "ENTRIES_ONLY"
    )
    assert json.loads(exitflow("exits", "kill-switch", "OFF", "--reason", "a test", *at).out)["mode"] == "OFF"
    limited = ("exits", "rollout", "limited", "--symbol", "NSE:INFY", "--reason", "a test")
    assert json.loads(exitflow(*limited, *at).out)["symbols"] == ["NSE:INFY"]
    assert json.loads(exitflow("exits", "rollout", "full", "--reason", "a test", *at).out)["mode"] == "full"


def test_a_token_made_for_reading_cannot_open_trades(
    data_dir: str, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = json.loads(exitflow("tokens", "create", "reader", "--scope", "read", "--data-dir", data_dir, "--json").out)
    stack = json.loads((Path(data_dir) / "stack.json").read_text())
    monkeypatch.setenv("EXITFLOW_TRADE_API_URL", stack["trade_api"])
    monkeypatch.setenv("EXITFLOW_PUBLIC_TOKEN", made["token"])
    assert exitflow("trades", "list").status == 0
    refused = exitflow("trades", "open", "NSE:INFY", "LONG", "1", "--entry", "1", "--target", "2")
    assert (refused.status, "403 forbidden" in refused.err) == (1, True)


def test_doctor_reports_only_what_operator_switched_off(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir)
    assert exitflow("exits", "kill-switch", "ALL", "--reason", "a test", *at).status == 0
    found = exitflow("doctor", *at, "--json")
    assert [each["subject"] for each in json.loads(found.out)] == ["kill switch"]
    assert exitflow("exits", "kill-switch", "OFF", "--reason", "a test", *at).status == 0
    well = exitflow("doctor", *at)
    assert (well.status, well.err.strip()) == (0, "no problem found"), well.out


def test_the_doctor_says_who_does_not_answer(data_dir: str, exitflow: Exitflow) -> None:
    found = exitflow("doctor", "--process", "relay=http://127.0.0.1:1", "--data-dir", data_dir, "--json")
    assert (found.status, [each["subject"] for each in json.loads(found.out)]) == (1, ["relay"])


def test_top_shows_every_process_topic_and_outbox_of_the_stack(data_dir: str, exitflow: Exitflow) -> None:
    found = json.loads(exitflow("top", "--once", "--json", "--every", "0.1", "--data-dir", data_dir).out)
    assert {"relay", "exit-ticks", "exit-orders", "exit-api", "trade-fills", "trade-api"} <= found["processes"].keys()
    assert set(found["outboxes"]) == {"exit", "trade"}
    assert set(found["lag_records"]) >= {"market.ticks.v1", "exits.intents.v1"}
    assert found["pending"] is not None


def test_the_status_shows_every_process_ready(data_dir: str, exitflow: Exitflow) -> None:
    shown = exitflow("status", "--data-dir", data_dir, "--json")
    assert shown.status == 0
    names = {process["name"] for process in json.loads(shown.out)["processes"]}
    assert {"postgres", "kafka", "relay", "exit-ticks", "exit-orders", "trade-fills"} <= names


PAGES = {
    "exit-in-legs.md": 3,
    "hold-stops-at-the-broker.md": 8,
    "limit-losses.md": 5,
    "make-charges-final.md": 4,
    "receive-postbacks.md": 3,
    "apply-corporate-actions.md": 4,
    "use-the-mcp-server.md": 1,
    "load-calendars.md": 3,  # last: exits wait outside its hours
}
"""The how-tos of commands, and how many each has."""
ELSEWHERE = {
    "replay-a-market.md": "tests/unit/cli/test_replay_page.py",
    "scale.md": "tests/integration/cli/test_tick_commands.py",
}
"""Pages whose commands need no stack, or one of their own."""
REFUSED = {("accounts", "release"): "409 account_not_held"}
"""Commands whose page begins with an event that may not have happened here."""


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_succeeds(
    page: str, data_dir: str, exitflow: Exitflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = exitflow("trades", "list", "--status", "CLOSED", "--data-dir", data_dir, "--json").out
    symbol = f"NSE:PAGE{list(PAGES).index(page)}"
    documented = DocumentedPage(page, exitflow, data_dir, symbol, json.loads(listed)[0]["trade_id"])
    documented.write_files()
    done = documented.run()
    assert len(done) == PAGES[page]
    for words, ended in done:
        refusal = REFUSED.get((words[0], words[1]), "no refusal")
        assert ended.status == 0 or refusal in ended.err, (words, ended.err)


def test_the_commands_of_every_page_are_run_somewhere() -> None:
    pages = {page.name for page in (DOCS / "how-to").glob("*.md") if "\nexitflow " in page.read_text()}
    assert pages == PAGES.keys() | ELSEWHERE.keys()
