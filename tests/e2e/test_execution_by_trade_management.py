"""A whole stack with exits executed under trade management, through kill -9 and a changed setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from deploy.local.kafka.selection import KafkaChoice
from deploy.local.processes.ports import free_port
from deploy.local.stack import stack
from deploy.local.stack.stack import StackOptions
from services.checker.checker import check_once_settled
from services.checker.stack import system_under_check
from services.testing.stack import ExitflowStack
from shared.clock import SystemClock
from shared.runtime.catalogue import EXIT_API, EXIT_ORDERS, TRADE_FILLS
from shared.settings import Execution, load_settings
from tests.support.product_process import ProductProcess, run
from tests.support.servers import server_directory
from tests.support.waiting import LIMIT_S

SETTLE_S = 60
NEEDED = ("relay", "exit-ticks", "exit-orders", "exit-api", "trade-fills", "trade-api", "paper-broker")


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of a running stack under trade management."""
    monkeypatch.setenv("EXITFLOW_EXECUTION", Execution.TRADE_MANAGEMENT.value)
    load_settings.cache_clear()
    said: list[str] = []
    with server_directory("execution") as directory:
        options = StackOptions(directory, KafkaChoice.TANSU, restrict_to=NEEDED)
        assert stack.up_detached(options, said.append) == 0, "\n".join(said)
        yield directory
        assert stack.down(directory, said.append) == 0, "\n".join(said)
    load_settings.cache_clear()


def process_of(data_dir: Path, name: str) -> psutil.Process:
    """A process of the stack."""
    (found,) = (each for each in stack.status(data_dir).processes if each.name == name)
    return psutil.Process(found.pid)


def test_trades_close_through_kills_and_a_change_of_the_setting(data_dir: Path) -> None:
    described = stack.read_stack(data_dir)
    by_itself = settings_of(process_of(data_dir, EXIT_ORDERS.name)) | {
        "EXITFLOW_EXECUTION": Execution.EXIT_QUALIFICATION.value,
        "EXITFLOW_HTTP_PORT": str(free_port(str(data_dir))),
    }
    with ExitStack() as closing_all:
        running = closing_all.enter_context(closing(ExitflowStack(described)))
        first = open_and_stop(running, "NSE:FIRST")
        running.await_event("TradeClosed", SETTLE_S, trade_id=first)
        trade_ids = []
        for name in (TRADE_FILLS.name, EXIT_API.name, EXIT_ORDERS.name):
            trade_ids.append(open_and_stop(running, f"NSE:{name.upper()}"))
            process_of(data_dir, name).kill()
        other = ProductProcess(run("run", EXIT_ORDERS.name), by_itself)
        closing_all.callback(end, other)
        trade_ids += [open_and_stop(running, f"NSE:S{n}") for n in range(5)]
        for trade_id in trade_ids:
            running.await_event("TradeClosed", SETTLE_S, trade_id=trade_id)
    findings = check_once_settled(system_under_check(data_dir, described), SystemClock(), SETTLE_S, lambda line: None)
    assert [finding for finding in findings if not finding.holds] == []


def open_and_stop(running: ExitflowStack, symbol: str) -> str:
    """Open a trade, and let its stop loss be met."""
    trade_id: str = running.open_trade(symbol)["trade_id"]
    running.play_ticks(symbol, "1000.00", "989.00")
    return trade_id


def settings_of(process: psutil.Process) -> dict[str, str]:
    """The settings of a process of the stack."""
    return {name: value for name, value in process.environ().items() if name.startswith("EXITFLOW_")}


def end(process: ProductProcess) -> None:
    """Kill a process, as a stop of its machine would."""
    process.kill()
    process.wait(LIMIT_S)
