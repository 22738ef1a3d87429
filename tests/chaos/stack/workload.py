"""Clients and a market: trades opened, exits forced, ticks played, every call with a key and retried under it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from services.cli.support.connection import Target
from services.cli.support.tick_sender import TickSender
from shared.contracts.ticks import Tick
from shared.errors import Unavailable
from shared.http.clients import direct
from shared.ids import new_id
from tests.chaos.stack.calls import Answer, Forced, Opened

HOT, COLD = "NSE:HOT", tuple(f"NSE:COLD{n}" for n in range(6))
START = Decimal("1000.00")
REACH = (Decimal("2.00"), Decimal("12.00"))
OPENERS = 3
CALL_LIMIT_S = 5.0
RETRIES_S = 20.0
TICK_PAUSE_S = 0.05
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Workload:
    """Threads of clients, each with its own dice.

    Attributes
    ----------
    opened, forced:
        The calls and their outcomes.
    stamp_shift_s:
        Added to the stamps of ticks while a fault says so.
    """

    def __init__(self, running: dict[str, Any], seed: int) -> None:
        self._trade_api, self._exit_api = running["trade_api"], running["exit_api"]
        self._token = running["token"]
        self._settings = Target.of_stack(running).settings()
        self._seed = seed
        self._stop = threading.Event()
        self._quantities = count(1)
        self._sequence = count(1)
        self._lock = threading.Lock()
        self._prices = dict.fromkeys((HOT, *COLD), START)
        self._unforced: list[str] = []
        self.stamp_shift_s = 0.0
        self.opened: list[Opened] = []
        self.forced: list[Forced] = []
        self.lost_ticks = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While inside, clients call; an error of one of them is raised."""
        with ThreadPoolExecutor(OPENERS + 2, thread_name_prefix="client") as threads:
            working: list[Future[None]] = [
                *(
                    threads.submit(self._calling, self._open, random.Random(f"{self._seed}/{n}"))
                    for n in range(OPENERS)
                ),
                threads.submit(self._calling, self._force, random.Random(f"{self._seed}/force")),
                threads.submit(self._play, random.Random(f"{self._seed}/market")),
            ]
            try:
                yield
            finally:
                self._stop.set()
        for each in working:
            each.result()

    def exit_everything(self, count_open: Callable[[], int], standstill_s: float) -> int:
        """Send prices beyond every target and stop while trades close; return how many stay open."""
        left, fell_at = count_open(), time.monotonic()
        sender = TickSender(self._settings)
        while left and time.monotonic() < fell_at + standstill_s:
            try:
                for symbol in self._prices:
                    self._send(sender, symbol, START * 2)
                sender.flush()
            except Unavailable:
                # Kafka may still be starting; the verdict names a process not ready.
                sender = TickSender(self._settings)
            time.sleep(0.5)
            now_open = count_open()
            if now_open < left:
                left, fell_at = now_open, time.monotonic()
        return left

    def _calling(self, act: Callable[[httpx.Client, random.Random], None], dice: random.Random) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        with httpx.Client(headers=headers, timeout=CALL_LIMIT_S, **direct(self._trade_api, self._exit_api)) as client:
            while not self._stop.wait(dice.uniform(0.05, 0.4)):
                act(client, dice)

    def _open(self, client: httpx.Client, dice: random.Random) -> None:
        with self._lock:
            quantity = next(self._quantities)
        symbol = HOT if dice.random() < 0.6 else dice.choice(COLD)
        reach, is_long = Decimal(dice.randint(*(int(each) for each in REACH))), dice.random() < 0.5
        entry = self._prices[symbol]
        target, stop = (entry + reach, entry - reach) if is_long else (entry - reach, entry + reach)
        body = {
            "symbol": symbol,
            "direction": "LONG" if is_long else "SHORT",
            "product_type": "MIS",
            "quantity": quantity,
            "entry_price": str(entry),
            "user_broker_id": "paper",
            "exit_plan": {"target": str(target), "stop_loss": str(stop)},
            "allow_immediate": True,  # the market moves on between this choice and a retried answer
        }
        answer, told = self._ask(client, f"{self._trade_api}/trades", body, dice)
        trade_id = told.get("trade_id") if answer is Answer.OK else None
        with self._lock:
            self.opened.append(Opened(quantity, answer, trade_id))
            if trade_id is not None:
                self._unforced.append(trade_id)

    def _force(self, client: httpx.Client, dice: random.Random) -> None:
        with self._lock:
            if not self._unforced:
                return
            trade_id = self._unforced.pop(dice.randrange(len(self._unforced)))
        body = {"trade_id": trade_id, "reason_note": "chaos"}
        answer, told = self._ask(client, f"{self._exit_api}/exits", body, dice)
        with self._lock:
            self.forced.append(Forced(trade_id, answer, told.get("intent_id") if answer is Answer.OK else None))

    def _ask(
        self, client: httpx.Client, url: str, body: dict[str, Any], dice: random.Random
    ) -> tuple[Answer, dict[str, Any]]:
        """One call and its retries under one key, until an answer is definite or patience ends."""
        key, deadline = str(new_id()), time.monotonic() + RETRIES_S
        while time.monotonic() < deadline:
            try:
                response = client.post(url, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                response = None
            if response is not None and response.status_code not in _RETRIED:
                return (Answer.OK if response.is_success else Answer.FAIL), response.json()
            time.sleep(dice.uniform(0.1, 0.5))
        return Answer.INFO, {}

    def _play(self, dice: random.Random) -> None:
        sender = TickSender(self._settings)
        while not self._stop.wait(TICK_PAUSE_S):
            symbol = HOT if dice.random() < 0.5 else dice.choice(COLD)
            step = Decimal(dice.randint(-30, 30)) / 20
            price = min(max(self._prices[symbol] + step, START - 50), START + 50)
            self._prices[symbol] = price
            try:
                self._send(sender, symbol, price)
            except Unavailable:
                # A tick refused by Kafka is lost to its sender, as in any market: prices go on.
                self.lost_ticks += 1
                sender = TickSender(self._settings)

    def _send(self, sender: TickSender, symbol: str, price: Decimal) -> None:
        stamp = datetime.now(UTC) + timedelta(seconds=self.stamp_shift_s)
        sender.send(Tick(symbol=symbol, ltp=price, ts=stamp, seq=next(self._sequence)))
