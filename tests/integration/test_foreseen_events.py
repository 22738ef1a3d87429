"""Numbers of foreseen events: without a gap whatever is emitted of them, and never for an event not foreseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from shared.clock import SystemClock
from shared.contracts.events import Event
from shared.contracts.topics import TopicNames
from shared.outbox.numbers import Order
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import open_engine
from shared.postgres.hot_path import pipelined
from tests.support.servers import Database
from tests.support.signing import SIGNER

KEYS = "abc"
Keys = list[str]


class Noted(Event):
    """An event of these tests alone."""

    topic = "notes"
    source = "test"
    about: str

    @property
    def key(self) -> str:
        """What it is about."""
        return self.about

    @property
    def subject(self) -> str:
        """The same."""
        return self.about


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """One database for all examples of a test: their numbers go on."""
    engine = open_engine(database.exit_url, "exit_qualification", application="test")
    yield engine
    engine.dispose()


def unit(engine: Engine) -> UnitOfWork:
    return UnitOfWork(engine, Outbox(TopicNames(""), SystemClock(), SIGNER))


def orders(keys: Keys) -> list[Order]:
    return [(Noted.topic, key) for key in keys]


def numbers(engine: Engine) -> dict[str, list[int]]:
    """The numbers of each key, in the order of the rows."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT key, sequence FROM outbox_event ORDER BY id")).all()
    return {key: [row.sequence for row in rows if row.key == key] for key in KEYS}


def write(engine: Engine, before: Keys, foreseen: Keys, emitted: Keys, written_early: int = 0) -> None:
    """Emit some events, foresee others, and emit of those; write the first ones before the last are made."""
    with unit(engine) as uow, pipelined(uow.connection):
        uow.emit(*(Noted(about=key) for key in before))
        uow.foresee(orders(foreseen))
        uow.emit(*(Noted(about=key) for key in emitted[:written_early]))
        if written_early:
            uow.write_foreseen()
        uow.emit(*(Noted(about=key) for key in emitted[written_early:]))
        uow.commit()


few_keys = st.lists(st.sampled_from(KEYS), max_size=4)


@given(st.lists(st.tuples(few_keys, few_keys, st.integers(0, 4), st.integers(0, 4)), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_have_no_gap_whatever_is_emitted(engine: Engine, units: list[tuple[Keys, Keys, int, int]]) -> None:
    for before, foreseen, count, written_early in units:
        emitted = foreseen[:count]
        told = numbers(engine)
        write(engine, before, foreseen, emitted, written_early)
        after = numbers(engine)
        new = Counter(before + emitted)
        assert after == {key: list(range(1, len(told[key]) + new[key] + 1)) for key in KEYS}


def test_an_event_that_was_not_foreseen_fails_the_transaction(engine: Engine) -> None:
    before = numbers(engine)
    with pytest.raises(ValueError, match="too few numbers were asked for"):
        write(engine, ["a"], ["b"], ["b", "b"])
    assert numbers(engine) == before
    write(engine, [], ["b"], ["b"])
    assert len(numbers(engine)["b"]) == len(before["b"]) + 1


def test_events_are_foreseen_once(engine: Engine) -> None:
    before = numbers(engine)
    with pytest.raises(ValueError, match="foreseen already"), unit(engine) as uow, pipelined(uow.connection):
        uow.foresee(orders(["a"]))
        uow.foresee(orders(["a"]))
    assert numbers(engine) == before
