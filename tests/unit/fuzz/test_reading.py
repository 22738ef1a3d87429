"""Whatever a record holds, it is read, skipped or set apart; its neighbours are read all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.ticks import evaluation
from services.exit_qualification.ticks.batch import offsets_after
from services.paper_broker import feed_records
from services.paper_broker.feed_records import FeedRecord
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.fills.fill_event import FILL_TYPES, read_fill_event
from services.trade_management.fills.reading import DiscardedEvent, Irrelevant, read
from shared.contracts.events import event_classes, parse_event
from shared.contracts.topics import EXIT_INTENTS, MARKET_TICKS, TRADES
from shared.errors import ExitflowError, MalformedMessage, Unavailable
from shared.kafka.record_faults import UNREADABLE, fault_of, read_record
from shared.money import parse_money
from shared.outbox.signatures import SIGNATURE_HEADER, UntrustedEvent
from tests.support.records import headers, message, values
from tests.support.signing import TRUSTED, signature_of
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, LAYOUT, NOW_MS, evaluated, grouped

Json = dict[str, Any]
HELD = {HOME: Checkpoint(1, 0, 0)}

TICK: Json = {"symbol": INFY, "ltp": "1520.35", "ts": "2026-01-13T03:45:00.123Z", "seq": 1}
TICK_VALUE = json.dumps(TICK).encode()
OPENED = opened()
OPENED_BODY: Json = json.loads(OPENED.payload())
FILLED: Json = {
    "trade_id": "018f9c1e-0000-7000-8000-000000000001",
    "intent_id": "018f9c1e-0000-7000-8000-000000000002",
    "signal_id": "018f9c1e-0000-7000-8000-000000000003",
    "user_broker_id": "paper",
    "symbol": INFY,
    "direction": "LONG",
    "exit_reason": "TARGET",
    "episode_id": 1,
    "quantity": 100,
    "filled_quantity": 100,
    "average_price": "1010.00",
    "client_order_id": "A" * 20,
    "broker_order_id": "1",
    "placed_at": "2026-01-13T03:45:00Z",
    "filled_at": "2026-01-13T03:45:01Z",
    "time_to_fill_ms": 1000,
    "occurred_at": "2026-01-13T03:45:01Z",
    "reason": "EXPIRED",
    "errors": [{"code": "X", "message": "x"}],
    "fills": [
        {
            "broker_order_id": "1",
            "broker_trade_id": "2",
            "quantity": 100,
            "price": "1010.00",
            "filled_at": "2026-01-13T03:45:01Z",
        }
    ],
}
FILLED_VALUE = json.dumps(FILLED).encode()
TYPES = [event.event_type() for event in event_classes()]
TRADE_TYPES = [event.event_type() for event in event_classes() if event.topic == TRADES]
INTENT_TYPES = [event.event_type() for event in event_classes() if event.topic == EXIT_INTENTS]


def signed_message(topic: str, value: bytes | None, of: Any, **where: Any) -> Message:
    """Return a record with a signature to believe beside its headers."""
    signature = signature_of(message(topic, value, headers_=of, **where))
    return message(topic, value, headers_=[*(of or []), (SIGNATURE_HEADER, signature.encode())], **where)


@given(
    st.lists(values([TICK]), max_size=4),
    st.lists(st.tuples(values([OPENED_BODY]), headers(TRADE_TYPES), st.booleans()), max_size=4),
)
def test_exit_ticks_sets_unreadable_records_aside_and_judges_rest(
    ticks: list[bytes | None], trades: list[tuple[bytes | None, Any, bool]]
) -> None:
    records = [
        *(message("ticks", value, partition_=HOME, offset_=n) for n, value in enumerate(ticks)),
        message("ticks", TICK_VALUE, partition_=HOME, offset_=len(ticks)),
        *(
            signed_message("trades", value, of, partition_=HOME, offset_=n)
            if is_signed
            else message("trades", value, partition_=HOME, offset_=n, headers_=of)
            for n, (value, of, is_signed) in enumerate(trades)
        ),
    ]
    assert offsets_after(grouped(records), LAYOUT, HELD)[HOME] == Checkpoint(1, len(ticks) + 1, len(trades))
    engine = ExitSignalService()
    result = evaluated(engine, *records)
    state = engine.books.state(INFY)
    assert isinstance(state, SymbolState)
    assert state.last_ts_us >= NOW_MS * 1000
    refused = {each.code for each in result.refused}
    assert refused <= {"malformed_message", "wrong_partition", "untrusted"}
    assert "untrusted" not in refused or not all(is_signed for _, _, is_signed in trades)
    assert result.evaluated >= 1


@given(values([FILLED]), headers(INTENT_TYPES), st.booleans())
def test_trade_fills_reads_sets_apart_or_skips_any_record(value: bytes | None, of: Any, is_signed: bool) -> None:
    record = signed_message(EXIT_INTENTS, value, of) if is_signed else message(EXIT_INTENTS, value, headers_=of)
    try:
        said = read_record(read, record, TRUSTED)
    except UntrustedEvent:
        assert not is_signed
        return
    except MalformedMessage as error:
        assert error.code == "malformed_message"
        return
    assert is_signed or isinstance(said, Irrelevant)
    assert isinstance(said, FillReport | DiscardedEvent | Irrelevant)


@given(values([FILLED]), st.sampled_from(sorted(FILL_TYPES)))
def test_trade_fills_refuses_whatever_the_contract_refuses(value: bytes | None, kind: str) -> None:
    try:
        event = parse_event(kind, value)
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            read_fill_event(kind, value)
        return
    try:
        read_ = read_fill_event(kind, value)
    except MalformedMessage as error:
        # The contract's classes also take a number that is written as a text, and other forms of an id.
        assert re.search("Expected `(int|str|bool)|Invalid UUID", str(error))
        return
    assert as_told(read_) == as_told(event)


@pytest.mark.parametrize("kind", sorted(FILL_TYPES))
def test_trade_fills_reads_what_the_contract_reads(kind: str) -> None:
    assert as_told(read_fill_event(kind, FILLED_VALUE)) == as_told(parse_event(kind, FILLED_VALUE))


@pytest.mark.parametrize("field", sorted(set(FILLED) - {"errors"}))
@pytest.mark.parametrize("kind", sorted(FILL_TYPES))
def test_trade_fills_needs_the_fields_that_the_contract_needs(kind: str, field: str) -> None:
    value = json.dumps({name: told for name, told in FILLED.items() if name != field}).encode()
    refusals = [refusal_of(read, kind, value) for read in (parse_event, read_fill_event)]
    assert refusals in ([False, False], [True, True])


def refusal_of(read: Callable[[str, bytes], object], kind: str, value: bytes) -> bool:
    """Return whether a reader refuses a value."""
    try:
        read(kind, value)
    except MalformedMessage:
        return True
    return False


def as_told(event: Any) -> Json:
    """Return the fields of an event that closures need."""
    names = ("trade_id", "intent_id", "symbol", "direction", "user_broker_id", "exit_reason", "leg", "filled_quantity")
    fills = [
        (fill.broker_order_id, fill.broker_trade_id, fill.quantity, parse_money(fill.price), fill.filled_at)
        for fill in event.fills
    ]
    return {name: getattr(event, name) for name in names} | {"fills": fills}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([MARKET_TICKS, TRADES]),
            values([TICK, OPENED_BODY]),
            st.sampled_from(TYPES),
            st.booleans(),
        )
    )
)
def test_paper_broker_sets_unreadable_records_aside_and_books_the_rest(
    records: list[tuple[str, bytes | None, str, bool]],
) -> None:
    read_ = [
        FeedRecord(topic, topic, 0, n, kind, value, NOW_MS, is_trusted)
        for n, (topic, value, kind, is_trusted) in enumerate(records)
    ]
    good = FeedRecord(MARKET_TICKS, MARKET_TICKS, 1, 0, "", TICK_VALUE, NOW_MS)
    batch = feed_records.read_batch([*read_, good])
    assert batch.ticks[-1].price_units == 15_203_500
    assert batch.offsets[MARKET_TICKS, 1] == 1
    for record, fault in batch.refused:
        assert fault.code == "malformed_message" or (fault.code == "untrusted" and not record.is_trusted)


def test_unforeseen_error_makes_dead_letter_of_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*_: object) -> None:
        raise OverflowError("of digits")

    monkeypatch.setattr(evaluation, "parse_tick", overflow)
    records = [
        message("ticks", TICK_VALUE, partition_=HOME),
        signed_message("trades", OPENED.payload(), [("ce_type", OPENED.event_type().encode())], partition_=HOME),
    ]
    [refused] = evaluated(ExitSignalService(), *records).refused
    assert (refused.code, refused.reason) == (UNREADABLE, "OverflowError while it was read")


def test_non_text_header_names_do_not_stop_reading() -> None:
    class Unnameable:
        def headers(self) -> None:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    record: Any = message("trades", OPENED.payload(), partition_=HOME)
    record.headers = Unnameable().headers
    [refused] = evaluated(ExitSignalService(), record).refused
    assert refused.code == "malformed_message"


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("disk"), MemoryError()])
def test_a_dependency_that_failed_is_no_fault_of_a_record(error: Exception) -> None:
    assert fault_of(error) is None


@pytest.mark.parametrize("error", [OverflowError(), ArithmeticError(), KeyError("a"), RecursionError()])
def test_an_error_while_a_record_is_applied_is_its_fault(error: Exception) -> None:
    fault = fault_of(error)
    assert fault is not None
    assert (fault.code, type(error).__name__ in fault.reason) == (UNREADABLE, True)
    assert not isinstance(error, ExitflowError)
