"""However a worker dies, each exit is written once and the offsets name the judged records."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.exit_qualification.ticks.metrics import RELOADS
from shared.runtime import failpoints
from shared.runtime.failpoints import Failpoint
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker, worker_process
from tests.support.trades import opened
from tests.support.waiting import wait_until

KILLED = -signal.SIGKILL
DEATH_LIMIT_S = 60

POINTS = [
    (Failpoint.TICKS_AFTER_SIGNALS, 0),
    (Failpoint.TICKS_BEFORE_COMMIT, 0),
    (Failpoint.TICKS_AFTER_COMMIT, 1),
]


@pytest.fixture
def arming(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Failpoints can be armed in this process."""
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    failpoints.disarm_all()


@pytest.mark.parametrize(("point", "written"), POINTS)
def test_a_worker_killed_around_its_commit_exits_each_trade_once(
    settings: Settings, market: Market, book: Book, tmp_path: Path, point: Failpoint, written: int
) -> None:
    market.open(opened(), opened())
    with running_worker(settings):
        book.await_trades(2)
    market.tick("1010.00")
    with worker_process(settings, tmp_path / "log", f"{point}=kill") as child:
        assert child.wait(DEATH_LIMIT_S) == KILLED, (tmp_path / "log").read_text()
    assert len(book.signals()) == len(book.intents()) == 2 * written
    assert book.symbol_offset(INFY) == written
    market.tick("1011.00")
    with running_worker(settings):
        book.await_tick(market.partition(), 2)
    assert len(book.signals()) == len(book.intents()) == 2
    assert len(book.events()) == 4
    assert {row.detected_price for row in book.signals()} == {1010}


@pytest.mark.parametrize("point", [point for point, _ in POINTS])
def test_a_worker_failing_around_its_commit_reloads_and_continues(
    settings: Settings, market: Market, book: Book, arming: None, point: Failpoint
) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        failpoints.arm(point, "raise")
        before = RELOADS.labels("FailpointHit")._value.get()
        market.tick("1010.00")
        wait_until(lambda: RELOADS.labels("FailpointHit")._value.get() > before, "the worker loads again")
        market.tick("1011.00")
        book.await_tick(market.partition(), 2)
    assert len(book.signals()) == len(book.intents()) == 1
    assert len(book.events()) == 2


def test_a_worker_whose_connections_are_cut_goes_on(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened(), opened(symbol="NSE:TCS"))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exit-ticks'"
    with running_worker(settings):
        book.await_trades(2)
        market.tick("1010.00")
        book.await_exits(1)
        book.execute(cut)
        market.tick("1010.00", "NSE:TCS")
        book.await_exits(2)
    assert len(book.intents()) == 2


def test_sigterm_ends_the_process_in_order(settings: Settings, market: Market, book: Book, tmp_path: Path) -> None:
    log = tmp_path / "log"
    market.open(opened())
    with worker_process(settings, log) as child:
        book.await_trades(1)
        child.send_signal(signal.SIGTERM)
        assert child.wait(DEATH_LIMIT_S) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_records_of_a_worker_killed_on_revoke_are_evaluated_once(
    settings: Settings, market: Market, book: Book, tmp_path: Path
) -> None:
    market.open(opened())
    with worker_process(settings, tmp_path / "log", "ticks.on_revoke=kill") as child:
        book.await_trades(1)
        with running_worker(settings, ready=False) as second:  # joining revokes
            assert child.wait(DEATH_LIMIT_S) == KILLED
            market.tick("1010.00")
            second.await_ready()
            book.await_exits(1)
    assert len(book.signals()) == len(book.intents()) == 1
