"""`exitflow demo`, and the commands on its stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy.compose.health_probe import SILENT, problem_of
from shared.http.clients import direct
from tests.integration.cli.local_stack import data_dir, run_apart
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
__all__ = ["data_dir"]


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


FROZEN = {
    "kafka": {"exit-ticks": "kafka", "trade-fills": "kafka", "paper-broker": "kafka", "relay": "Kafka does not answer"},
    "paper-broker": {"paper-broker": SILENT, "exit-orders": "brokers: positions cannot be read: paper"},
    "relay": {"relay": SILENT},
    "trade-fills": {"trade-fills": SILENT},
    "console": {"console": SILENT},
}
"""By frozen process: each process concerned, and words of its problem. PostgreSQL: `test_database_faults.py`."""
TOLD_WITHIN_S = 15
ALIVE_WITHIN_S = 1.0


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_process_is_told_by_all_concerned(data_dir: str, exitflow: Exitflow, name: str) -> None:
    at = ("--data-dir", data_dir)
    form = ("NSE:COALINDIA", "LONG", "1", "--entry", "500", "--stop-loss", "1")
    assert exitflow("trades", "open", *form, "--key", "frozen", *at).status == 0
    stack = json.loads((Path(data_dir) / "stack.json").read_text())
    roots = {each: url.removesuffix("/metrics") for each, url in stack["metrics"].items()}

    def told() -> bool:
        return all(words in (problem_of(roots[each]) or "") for each, words in FROZEN[name].items())

    with frozen(stack["processes"][name]):
        wait_until(told, "every process concerned is unready and says why", TOLD_WITHIN_S)
        assert {each for each in roots if each != name and not is_alive(roots[each])} == set()
        found = json.loads(exitflow("doctor", *at, "--json").out)
        assert {each["subject"] for each in found} >= FROZEN[name].keys()
        shown = json.loads(exitflow("status", *at, "--json").out)["processes"]
        assert {each["name"] for each in shown if not each["ready"]} >= FROZEN[name].keys()

    def unready() -> dict[str, str]:
        return {each: problem for each, root in roots.items() if (problem := problem_of(root))}

    try:
        wait_until(lambda: not unready(), "all are ready again")
    except AssertionError:
        pytest.fail(f"not ready again: {unready()}")


def is_alive(root: str) -> bool:
    """Return True if the process answers `/healthz` in time."""
    return httpx.get(f"{root}/healthz", timeout=ALIVE_WITHIN_S, **direct(root)).is_success


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """While inside, the process and its children do not run."""
    process = psutil.Process(pid)
    stopped = [process, *process.children(recursive=True)]
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in stopped:
            each.resume()
