"""Traces of the ticks behind exits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from unittest.mock import Mock

import pytest
from confluent_kafka import Message

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.causes import trace_causes
from shared.ids import new_traceparent
from shared.outbox import after_commit
from shared.outbox.after_commit import Tracer
from tests.support.records import FakeMessage
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.ticks.messages import evaluated, tick

TRACE = new_traceparent()


@pytest.fixture
def tracer() -> Iterator[Mock]:
    """The tracer of this process."""
    found = Mock(spec=Tracer)
    after_commit.trace_with(found)
    yield found
    after_commit.trace_with(None)


def traced(price: str, seq: int, headers: list[tuple[str, bytes | None]] | None = None) -> FakeMessage:
    """Return a tick of a tracing producer."""
    message = cast(FakeMessage, tick(price, seq=seq))
    message.headers_ = [("traceparent", TRACE.encode())] if headers is None else headers
    return message


def engine() -> ExitSignalService:
    """Return an engine with a trade to exit at 1010."""
    found = ExitSignalService()
    found.add_trade(open_trade())
    return found


def test_the_tick_that_exits_a_trade_is_its_cause(tracer: Mock) -> None:
    result = evaluated(engine(), *(cast(Message, traced(price, nth)) for nth, price in enumerate(("1001", "1010"), 1)))
    trace_causes(result)
    (entry,) = result.detected
    tracer.tick_caused.assert_called_once_with(entry.trade.trade_id, entry.candidates[0].detected_at_us, TRACE)


@pytest.mark.parametrize("headers", [[], [("traceparent", b"00-1-1-1")], [("traceparent", None)]])
def test_a_tick_without_a_valid_trace_is_none(tracer: Mock, headers: list[tuple[str, bytes | None]]) -> None:
    trace_causes(evaluated(engine(), cast(Message, traced("1010", 1, headers))))
    tracer.tick_caused.assert_not_called()


def test_without_a_tracer_no_header_is_read() -> None:
    message = traced("1010", 1)
    message.headers = Mock(side_effect=AssertionError("read"))  # type: ignore[method-assign]  # to see a read
    trace_causes(evaluated(engine(), cast(Message, message)))


def test_a_quiet_tick_reads_no_header_though_spans_are_exported(tracer: Mock) -> None:
    message = traced("1001", 1)
    message.headers = Mock(side_effect=AssertionError("read"))  # type: ignore[method-assign]  # to see a read
    trace_causes(evaluated(engine(), cast(Message, message)))
    tracer.tick_caused.assert_not_called()
