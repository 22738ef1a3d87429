from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest.mock import MagicMock

import pytest
from sqlalchemy.exc import OperationalError

from shared.contracts.events import Event
from shared.outbox.after_commit import after_commit
from shared.outbox.unit_of_work import UnitOfWork


class Happened(Event):
    """An event of these tests alone."""

    topic = "test"
    source = "test"


seen: list[Happened] = []


@after_commit(Happened)
def _remember(event: Happened) -> None:
    seen.append(event)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def unit(**behaviour: Any) -> UnitOfWork:
    connection = MagicMock(info={"pipeline": MagicMock()}, **behaviour)  # no driver to join its statements
    return UnitOfWork(MagicMock(**{"connect.return_value": connection}), MagicMock())


def test_observers_see_each_event_once_and_only_after_the_commit() -> None:
    with unit() as uow:
        uow.emit(Happened())
        uow.flush()
        uow.emit(Happened())
        assert seen == []
        uow.commit()
        uow.commit()
    assert len(seen) == 2


def test_events_of_a_unit_that_rolls_back_are_not_observed() -> None:
    with unit() as uow:
        uow.emit(Happened())
        uow.flush()
    assert seen == []


def test_events_of_a_commit_that_fails_are_not_observed() -> None:
    failure = OperationalError("COMMIT", {}, Exception("gone"))
    with unit(**{"commit.side_effect": failure}) as uow:
        uow.emit(Happened())
        with pytest.raises(OperationalError):
            uow.commit()
    assert seen == []


@pytest.mark.parametrize(
    ("process", "counted"),
    [
        ("services.exit_qualification.api.process", {"ExitSignalPublished", "ExitIntentApproved"}),
        ("services.exit_qualification.ticks.process", {"ExitSignalPublished", "ExitIntentRejected"}),
        ("services.exit_qualification.orders.process", {"ExitIntentPlaced", "ExitIntentFilled", "ExitIntentFailed"}),
        ("services.trade_management.api.process", {"TradeOpened"}),
    ],
)
def test_each_process_counts_the_events_that_it_emits(process: str, counted: set[str]) -> None:
    show = "print(*(each.__name__ for each in observed_events()))"
    code = f"import {process}; from shared.outbox.after_commit import observed_events; {show}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert counted <= set(ran.stdout.split())
