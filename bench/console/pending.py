"""A local stack with many pending exits: their stops were met while the kill switch held exits back."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.orders.load import open_trades, trade
from bench.relay.usage import cpu_seconds
from deploy.local.stack import stack
from deploy.local.state.data_directory import DataDirectory
from services.cli.support.tick_sender import TickSender
from shared.clock import SystemClock
from shared.contracts.ticks import Tick
from shared.errors import Unavailable
from shared.settings import Settings

SYMBOLS = 50
CONNECTIONS = 8
ROUNDS, ROUND_S = 60, 2
WAITING = "SELECT count(*) FROM exit_qualification.exit_intents WHERE status = 'PENDING'"
SETTLE_S = 5
"""Time for the processes to rest, to measure the page and not the burst before it."""


@dataclass(frozen=True)
class PendingExits:
    """A running stack, and one of its trades with a waiting exit."""

    about: dict[str, Any]
    trade_id: str


@contextmanager
def pending_exits(count: int, say: Callable[[str], None]) -> Iterator[PendingExits]:
    """Start a stack in a temporary directory, let so many exits wait, and remove it afterwards.

    Raises
    ------
    Unavailable
        The stack did not start, or the exits did not come.
    """
    root = Path(tempfile.mkdtemp(prefix="exitflow-bench-console-"))
    try:
        if stack.up_detached(stack.StackOptions(root), say) != 0:
            raise Unavailable(f"the stack did not start; its logs are in {DataDirectory(root).logs}")
        with ExitStack() as cleanup:
            cleanup.callback(stack.down, root, say)
            about = stack.read_stack(root)
            say(f"opening {count:,} trades whose exits wait")
            trade_id = _let_wait(about, count)
            say(f"without a page open the stack uses, of a core: {_shares(about)}")
            yield PendingExits(about, trade_id)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _let_wait(about: dict[str, Any], count: int) -> str:
    """Hold exits back, open the trades, meet their stops (they do not expire); return the id of one trade.

    Raises
    ------
    Unavailable
        The exits did not come in time.
    """
    _hold_exits(about)
    symbols = [f"NSE:WAIT{n}" for n in range(SYMBOLS)]
    bodies = [trade(symbols[n % SYMBOLS], "paper") for n in range(count)]
    ids, _ = open_trades(about["trade_api"], about["token"], bodies, CONNECTIONS)
    sender = TickSender(Settings(kafka_bootstrap_servers=about["kafka_bootstrap_servers"]))
    with psycopg.connect(about["admin_database_url"], autocommit=True) as connection:
        for sequence in range(1, ROUNDS + 1):  # exit-ticks may not know each trade at the first tick
            _send_ticks(sender, symbols, sequence)
            threading.Event().wait(ROUND_S)
            if connection.execute(WAITING).fetchone() == (count,) and _is_published(about):
                connection.execute("ANALYZE")  # as autovacuum does within a minute
                threading.Event().wait(SETTLE_S)
                return ids[0]
    raise Unavailable(f"{count:,} exits did not wait after {ROUNDS * ROUND_S} s")


def _send_ticks(sender: TickSender, symbols: list[str], sequence: int) -> None:
    now = SystemClock().now()
    for symbol in symbols:
        sender.send(Tick(symbol=symbol, ltp=Decimal("899.50"), ts=now, seq=sequence))
    sender.flush()


def _shares(about: dict[str, Any]) -> str:
    """Return the processes' shares of a core, the busiest first."""
    before = _cpu(about)
    threading.Event().wait(SETTLE_S)
    shares = {name: (seconds - before[name]) / SETTLE_S for name, seconds in _cpu(about).items()}
    busiest = sorted(shares.items(), key=lambda share: -share[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in busiest if share >= 0.01)


def _cpu(about: dict[str, Any]) -> dict[str, float]:
    return {name: cpu_seconds([pid]) for name, pid in about["processes"].items() if name != "supervisor"}


def _hold_exits(about: dict[str, Any]) -> None:
    body = {"mode": "ALL", "reason": "bench of the console"}
    httpx.put(f"{about['exit_api']}/kill-switch", json=body, headers=_caller(about)).raise_for_status()


def _is_published(about: dict[str, Any]) -> bool:
    """Return whether both outboxes are empty."""
    answers = [httpx.get(f"{about[api]}/outbox", headers=_caller(about)) for api in ("exit_api", "trade_api")]
    return all(answer.raise_for_status().json()["totals"]["backlog"] == 0 for answer in answers)


def _caller(about: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {about['token']}"}
