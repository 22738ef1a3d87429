"""However ticks fall into batches, the same ticks decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.ticks.evaluation import in_rounds
from shared.clock import rfc3339
from shared.contracts.vocabulary import Direction, ExitReason
from shared.instants import EPOCH
from shared.kafka.clients import home_partition
from shared.money import from_units
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.ticks.messages import LAYOUT, evaluator, grouped, tick

SYMBOLS = ("NSE:INFY", "NSE:TCS")
NEW_CLOCK_AFTER_MS = 3

Pair = tuple[UUID, ExitReason]

low, high = st.none() | st.integers(1, 4), st.none() | st.integers(7, 10)


@st.composite
def plans(draw: st.DrawFn) -> OpenTrade:
    """A trade with one price for an exit by one reason, and another price for the other."""
    direction = draw(st.sampled_from(Direction))
    below, above = draw(low), draw(high)
    target, stop = (above, below) if direction is Direction.LONG else (below, above)
    return open_trade(
        draw(st.integers(1, 5)),
        symbol=draw(st.sampled_from(SYMBOLS)),
        direction=direction,
        target=target,
        stop_loss=stop,
        trailing_stop=draw(st.none() | st.just({"amount": "0.0002"})),
        bricks=draw(st.none() | st.just({"size": "0.0002", "confirm": 1, "reversal": 2})),
    )


trades = st.lists(plans(), unique_by=lambda trade: trade.trade_id, min_size=1, max_size=5)
steps = st.tuples(
    st.sampled_from(SYMBOLS),
    st.integers(1, 10),
    st.integers(0, 2),
    st.sampled_from([0, 0, 0, 0, -4000, 9000]),
    st.sampled_from([1, 1, 1, 0, -5]),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    """Ticks as a log has them: arrivals never go back, stamps and numbers do."""
    arrived_ms, seq, log = 1, 10, []
    for symbol, price, later_ms, ahead_us, further in draw(st.lists(steps, min_size=2, max_size=20)):
        arrived_ms += later_ms
        seq = max(0, seq + further)
        ts = rfc3339(EPOCH + timedelta(microseconds=max(0, arrived_ms * 1000 + ahead_us)))
        home = home_partition(symbol, LAYOUT.partitions)
        price_text = str(from_units(price))
        log.append(tick(price_text, symbol=symbol, ts=ts, seq=seq, arrived_ms=arrived_ms, partition_=home))
    return log


class Slots:
    """The database's decisions: one intent a trade, nothing for a reason under cooldown."""

    def __init__(self, cooling: set[Pair]) -> None:
        self.cooling = cooling
        self.taken: dict[UUID, ExitCandidate] = {}

    def write(self, detected: Sequence[ExitCandidates]) -> list[Pair]:
        written = []
        for entries in in_rounds(detected):
            for entry in entries:
                free = [each for each in entry.candidates if (each.trade_id, each.exit_reason) not in self.cooling]
                if free and entry.trade.trade_id not in self.taken:
                    self.taken[entry.trade.trade_id] = free[0]
                    written.append((entry.trade.trade_id, free[0].exit_reason))
        return written


def _batches(log: list[Message], cuts: set[int]) -> Iterator[list[Message]]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    return (log[start:end] for start, end in pairwise(edges))


cooldowns = st.sets(
    st.tuples(st.integers(1, 5), st.sampled_from([ExitReason.TARGET, ExitReason.STOP_LOSS])), max_size=2
)


@given(trades, logs(), st.sets(st.integers(1, 19), max_size=4), cooldowns)
def test_batch_boundaries_do_not_change_the_exits(
    book: list[OpenTrade], log: list[Message], cuts: set[int], cooling: set[tuple[int, ExitReason]]
) -> None:
    under_cooldown = {(UUID(int=number), reason) for number, reason in cooling}
    every_tick_a_batch = set(range(1, len(log)))
    assert _exits(book, log, cuts, under_cooldown) == _exits(book, log, every_tick_a_batch, under_cooldown)


def _exits(
    book: list[OpenTrade], log: list[Message], cuts: set[int], cooling: set[Pair]
) -> tuple[dict[UUID, ExitCandidate], list[str]]:
    slots = Slots(cooling)
    engine = ExitSignalService(NEW_CLOCK_AFTER_MS)
    for trade in book:
        engine.add_trade(trade)
    told: list[str] = []
    evaluates = evaluator(engine, range(LAYOUT.partitions))
    for batch in _batches(log, cuts):
        result = evaluates.evaluate(grouped(batch), 0)
        told += result.new_clocks
        for trade_id, reason in slots.write(result.detected):
            engine.disarm(trade_id, reason)
    return slots.taken, told
