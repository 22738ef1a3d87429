"""Order updates: which are told and when, their signatures, and receivers never hold the broker up."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.paper_broker.accounts import Accounts, accounts_of
from services.paper_broker.broker import PaperBroker
from services.paper_broker.fault_effects import PostbackEffect
from services.paper_broker.faults import (
    DelayPostback,
    DuplicatePostback,
    Effect,
    FaultRequest,
    LosePostback,
    PartialFill,
    Refuse,
    Reject,
    copies_under,
)
from services.paper_broker.kite_errors import KiteError
from services.paper_broker.ledger import Ledger
from services.paper_broker.order_forms import read_modification
from services.paper_broker.order_updates import OrderUpdate
from services.paper_broker.orders import Order, rejected
from services.paper_broker.postback_format import postback
from services.paper_broker.postback_queue import PostbackQueue
from services.paper_broker.postbacks import ATTEMPTS, Postbacks, Result
from services.paper_broker.quotes import PriceTick
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock
from tests.unit.paper_broker.test_matching import NOON_MS, FakeClock, order, request

URL = "https://receiver.invalid/postbacks"
SECRET = "s3cret"
CREDENTIALS = f'{{"paper": {{"api_key": "k", "api_secret": "{SECRET}", "access_token": "t"}}}}'


class Desk:
    """A broker with a price of INFY and a list of the status and filled quantity of each update."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.ledger = Ledger(directory)
        self.told: list[tuple[str, int]] = []
        self.copies: list[tuple[int, ...]] = []
        self.broker = PaperBroker(self.ledger, self.clock, announce=self._take)
        self.broker.take_market([self.tick(1, 10_000_000)])

    def tick(self, seq: int, price_units: int) -> PriceTick:
        """Return a tick of INFY."""
        return PriceTick("NSE:INFY", price_units, NOON_MS * 1000, seq)

    def fault(self, effect: Effect, count: int | None = 1) -> None:
        """Add a fault rule."""
        with self.ledger.write() as books:
            books.faults.add("PAPER", FaultRequest(effect=effect, count=count))

    def _take(self, updates: Iterable[OrderUpdate]) -> None:
        for update in updates:
            with self.ledger.read() as books:
                assert books.orders.find("PAPER", update.order.number, NOON_MS) == update.order, (
                    "told before it was committed"
                )
            self.told.append((str(postback(update.order, SECRET)["status"]), update.order.filled_quantity))
            self.copies.append(update.delays_ms)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A broker with an empty book."""
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def test_partial_fill_is_reported_as_update_and_rest_as_complete(desk: Desk) -> None:
    desk.fault(PartialFill(quantity=40, rest_after_ms=50))
    desk.broker.place("PAPER", request())
    assert desk.told == [("UPDATE", 40)]
    desk.clock.ms += 50
    assert desk.broker.fill_due() == 1
    assert desk.told == [("UPDATE", 40), ("COMPLETE", 100)]


def test_postbacks_tell_changes_and_cancels_but_not_acceptance(desk: Desk) -> None:
    number = desk.broker.place("PAPER", request(limit_units=11_000_000)).order_number
    assert desk.told == []
    desk.broker.modify("PAPER", number, read_modification({"quantity": "50"}))
    desk.broker.cancel("PAPER", number)
    assert desk.told == [("UPDATE", 0), ("CANCELLED", 0)]


def test_a_rejection_is_told_but_not_a_refusal(desk: Desk) -> None:
    desk.fault(Reject())
    desk.broker.place("PAPER", request())
    assert desk.told == [("REJECTED", 0)]
    desk.fault(Refuse())
    with pytest.raises(KiteError):
        desk.broker.place("PAPER", request())
    assert desk.told == [("REJECTED", 0)]


def test_a_fill_that_was_not_committed_is_not_told(desk: Desk) -> None:
    desk.broker.place("PAPER", request(limit_units=11_000_000))
    crossing = [desk.tick(2, 11_000_000)]
    with pytest.raises(sqlite3.IntegrityError):
        desk.broker.take_market(crossing, offsets={("ticks", 0): None})  # type: ignore[dict-item]  # fails on purpose
    assert desk.told == []
    desk.broker.take_market(crossing)
    assert desk.told == [("COMPLETE", 100)]


def test_faults_of_orders_and_of_updates_are_counted_apart(desk: Desk) -> None:
    desk.fault(LosePostback())
    desk.fault(DelayPostback(ms=70))
    desk.fault(PartialFill(quantity=40, rest_after_ms=50), count=2)
    for _ in range(2):
        desk.broker.place("PAPER", request())
    assert desk.copies == [(), (0,)], "one update met both rules, the next none"
    assert desk.told == [("UPDATE", 40)] * 2


@pytest.mark.parametrize(
    ("effects", "copies"),
    [
        ([], (0,)),
        ([LosePostback(), DuplicatePostback()], ()),
        ([DuplicatePostback(copies=3)], (0, 0, 0)),
        ([DelayPostback(ms=5)], (5,)),
        ([DuplicatePostback(), DelayPostback(ms=5)], (5, 5)),
    ],
)
def test_effects_on_an_update_combine(effects: Sequence[PostbackEffect], copies: tuple[int, ...]) -> None:
    assert copies_under(effects) == copies


def test_a_postback_is_the_order_with_its_checksum() -> None:
    item = postback(rejected(order(), "RMS: no"), SECRET)
    assert (item["order_id"], item["order_timestamp"]) == ("1", "2026-01-13 11:30:00")
    assert (item["user_id"], item["tag"], item["unfilled_quantity"]) == ("PAPER", "TAG", 100)
    # printf '12026-01-13 11:30:00s3cret' | sha256sum
    assert item["checksum"] == "b4ca7416e1434aa87b5d4865d97c3e125972a95891057ea9dc1429b3189050ed"


def test_due_updates_leave_the_queue_in_order() -> None:
    clock = StandingClock()
    queue = PostbackQueue(clock, size=3)
    late, first, second = (numbered(number) for number in (1, 2, 3))
    assert queue.put(late, delay_ms=500) and queue.put(first) and queue.put(second)
    assert not queue.put(numbered(4)), "the queue is bounded"
    assert [queue.take(0) for _ in range(3)] == [first, second, None]
    clock.elapsed_s += 0.5
    assert queue.take(0) is late


class EagerStop(Stop):
    """Waits for nothing and remembers how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


class DrainedQueue(PostbackQueue):
    """Stops its reading thread once it is empty."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(StandingClock(), size=2)
        self._stop = stop

    def take(self, limit_s: float) -> Order | None:
        order = super().take(0)
        if order is None:
            self._stop.set()
        return order


def numbered(number: int) -> Order:
    """Return a rejected order with this number."""
    return rejected(replace(order(), number=number), "RMS: no")


def accounts() -> Accounts:
    """Return the one account of these tests."""
    return accounts_of(Settings(broker_credentials=SecretStr(CREDENTIALS)))


def post_all(orders: int, receive: Callable[[httpx.Request], httpx.Response]) -> tuple[dict[Result, float], EagerStop]:
    """Post the updates of some orders to a receiver; return the counts by result, and the waits."""
    before = counts()
    stop = EagerStop()
    with httpx.Client(transport=httpx.MockTransport(receive)) as client:
        postbacks = Postbacks(URL, accounts(), client, DrainedQueue(stop))
        postbacks.announce([OrderUpdate(numbered(number), (0,)) for number in range(1, orders + 1)])
        postbacks.run(stop)
    return {result: count - before[result] for result, count in counts().items() if count != before[result]}, stop


def counts() -> dict[Result, float]:
    """Return the counter of postbacks by result."""
    name = "paper_broker_postbacks_total"
    return {result: REGISTRY.get_sample_value(name, {"result": result}) or 0.0 for result in Result}


Answer = httpx.Response | httpx.TransportError
OK, DOWN = httpx.Response(200), httpx.Response(503)


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([OK], Result.SENT),
        ([DOWN, httpx.ReadTimeout("slow"), OK], Result.SENT),
        ([DOWN] * ATTEMPTS, Result.FAILED),
        ([httpx.ConnectError("refused")] * ATTEMPTS, Result.FAILED),
        ([httpx.Response(302, headers={"location": "https://other.invalid"})], Result.REFUSED),
        ([httpx.Response(404)], Result.REFUSED),
        ([httpx.Response(429)], Result.REFUSED),
    ],
)
def test_only_absent_receiver_is_retried_and_no_redirect_is_followed(answers: list[Answer], result: Result) -> None:
    left = list(answers)

    def receive(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == URL
        answer = left.pop(0)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    found, stop = post_all(1, receive)
    assert (found, left) == ({result: 1}, [])
    assert stop.waits == [0.1, 0.2][: len(answers) - 1]


def test_failed_update_shows_no_secret_and_next_update_follows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found, _ = post_all(2, lambda request: DOWN if b'"order_id":"1"' in request.content.replace(b" ", b"") else OK)
    assert found == {Result.FAILED: 1, Result.SENT: 1}
    ours = [record.getMessage() for record in caplog.records if record.name == "services.paper_broker.postbacks"]
    assert len(ours) == ATTEMPTS and not any(SECRET in line or "receiver.invalid" in line for line in ours)


def test_full_queue_and_lost_update_are_counted_without_waiting() -> None:
    before = counts()
    with httpx.Client() as client:
        postbacks = Postbacks(URL, accounts(), client, PostbackQueue(StandingClock(), size=1))
        postbacks.announce([OrderUpdate(numbered(1), (0, 0)), OrderUpdate(numbered(2), ())])
    after = counts()
    assert after[Result.QUEUE_FULL] - before[Result.QUEUE_FULL] == 1
    assert after[Result.LOST] - before[Result.LOST] == 1
