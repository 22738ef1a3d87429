"""Records on the wire: events, ticks, partitions."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from shared import contracts
from shared.contracts.discarded import ANY_TOPIC, Discarded
from shared.contracts.events import Event, event_classes, parse_event
from shared.contracts.trades import TradeOpened
from shared.errors import MalformedMessage
from shared.kafka.clients import murmur2_partition
from tests.support.trades import opened


@pytest.mark.parametrize(
    ("key", "murmur2"),  # the vectors of Kafka's own client, as signed 32-bit numbers
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
    ],
)
def test_keys_lie_where_the_java_clients_put_them(key: bytes, murmur2: int) -> None:
    assert murmur2_partition(key, 2**31 - 1) == murmur2 & 0x7FFFFFFF
    assert murmur2_partition(key, 12) == (murmur2 & 0x7FFFFFFF) % 12


def test_an_event_reads_back_as_it_was_written() -> None:
    event = opened()
    assert parse_event(event.event_type(), event.payload()) == event


def test_a_reader_ignores_fields_it_does_not_know() -> None:
    event = opened()
    payload = event.payload()[:-1] + b',"added_later":1}'
    assert parse_event(event.event_type(), payload) == event


@pytest.mark.parametrize("payload", [None, b"", b"{", b"[]", b"null", b'{"trade_id":"x"}', b"\xff\xfe"])
def test_what_is_not_the_event_is_malformed(payload: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        parse_event(TradeOpened.event_type(), payload)


def test_an_unknown_type_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="unknown event type"):
        parse_event("io.exitflow.Nothing.v1", b"{}")


def is_event(item: object) -> bool:
    """Return whether an item is an event's class and no base of events."""
    return isinstance(item, type) and issubclass(item, Event) and not item.__subclasses__()


def test_every_event_has_a_topic_a_key_and_a_subject() -> None:
    modules = [import_module(each.name) for each in iter_modules(contracts.__path__, "shared.contracts.")]
    named = {name for module in modules for name, item in vars(module).items() if is_event(item)}
    assert {event.__name__ for event in event_classes()} == named
    assert len(named) == 20
    for event in event_classes():
        assert event.topic.endswith(".v1") or (event is Discarded and event.topic == ANY_TOPIC)
        assert event.event_type() == f"io.exitflow.{event.__name__}.v1"


@pytest.mark.parametrize("member", [b"0", b"{}", b"null", b'{"price":"1e1000000"}'])
@pytest.mark.parametrize("kind", ["ExitIntentFilled", "ExitIntentRejected"])
def test_record_with_hundred_thousand_errors_gets_one_short_refusal(kind: str, member: bytes) -> None:
    many = b",".join([member] * 100_000)
    with pytest.raises(MalformedMessage) as refused:
        parse_event(f"io.exitflow.{kind}.v1", b'{"fills":[' + many + b'],"errors":[' + many + b"]}")
    assert len(str(refused.value)) < 1000
