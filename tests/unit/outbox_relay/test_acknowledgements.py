"""A shard is published up to the last event acknowledged together with all before it."""

from __future__ import annotations

from typing import cast

import pytest
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from services.outbox_relay.shards.acknowledgements import Acknowledgements, Run
from services.outbox_relay.shards.progress import Progress


class Reported:
    """A delivered message, as far as its report is looked at."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


DELIVERED = cast(Message, Reported(0))
INFERRED = cast(Message, Reported(None))


def run_of(events: int, last_id: int, failures: list[KafkaError] | None = None) -> Run:
    """A run of so many events up to this id."""
    heard: list[KafkaError] = failures if failures is not None else []
    run = Run(lambda error, _: heard.append(error), at(0), written_at=0)
    run.consists_of(events, at(last_id))
    return run


def at(position: int) -> Progress:
    """A place in a window."""
    return Progress("10:10:", "20:20:", position)


@st.composite
def runs_and_reports(draw: st.DrawFn) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Runs of ascending ids, and (run, id) of some of their events in any order."""
    ids = sorted(draw(st.sets(st.integers(1, 10_000), max_size=60)))
    runs: list[list[int]] = []
    while ids:
        length = draw(st.integers(1, 8))
        runs.append(ids[:length])
        ids = ids[length:]
    events = [(n, event) for n, run in enumerate(runs) for event in run]
    order = draw(st.permutations(events))
    return runs, order[: draw(st.integers(0, len(order)))]


@given(runs_and_reports())
def test_the_progress_never_passes_an_event_that_is_not_acknowledged(
    example: tuple[list[list[int]], list[tuple[int, int]]],
) -> None:
    ids, reports = example
    runs = [run_of(len(run), run[-1]) for run in ids]
    acknowledgements = Acknowledgements(at(0))
    for run in runs:
        acknowledgements.expect(run)
    reported: set[int] = set()
    for n, event in reports:
        runs[n].reported(None, DELIVERED)
        reported.add(event)
        acknowledgements.advance()
        assert acknowledgements.progress.position == contiguous_prefix(ids, reported)
    assert acknowledgements.awaits_any() == (len(reported) < sum(map(len, ids)))


def contiguous_prefix(runs: list[list[int]], reported: set[int]) -> int:
    """The last id of the last run reported together with all before it; 0 if there is none."""
    position = 0
    for run in runs:
        if not reported.issuperset(run):
            break
        position = run[-1]
    return position


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), DELIVERED, KafkaError.MSG_SIZE_TOO_LARGE),
        (None, INFERRED, KafkaError._FAIL),
    ],
)
def test_neither_failure_nor_success_without_offset_acknowledges_anything(
    error: KafkaError | None, message: Message, code: int
) -> None:
    failures: list[KafkaError] = []
    run = run_of(1, 7, failures)
    acknowledgements = Acknowledgements(at(3))
    acknowledgements.expect(run)
    run.reported(error, message)
    assert acknowledgements.advance() == []
    assert acknowledgements.progress == at(3)
    assert [failure.code() for failure in failures] == [code]
