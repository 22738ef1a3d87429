"""The checker of the ordering torture finds each kind of fault, and nothing where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.outbox_relay import checker

COMMITTED = {"a1": ("a", 1), "a2": ("a", 2), "a3": ("a", 3), "b1": ("b", 1)}


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    event_id: str
    key: str
    sequence: int


def judge(records: list[Record], committed: checker.Committed, most_duplicates: int = 5) -> checker.Verdict:
    """The verdict, a few repetitions allowed."""
    return checker.judge(records, committed, most_duplicates)


def log(*event_ids: str, partition: int = 0) -> list[Record]:
    """These events one after the other on one partition."""
    return [Record(partition, n, event_id, event_id[0], int(event_id[1:])) for n, event_id in enumerate(event_ids)]


def test_topic_with_every_event_once_in_order_is_sound() -> None:
    verdict = judge(log("a1", "b1", "a2", "a3"), COMMITTED)
    assert verdict.is_sound
    assert verdict.duplicates == 0


def test_it_does_not_matter_in_which_order_partitions_were_read() -> None:
    assert judge([*reversed(log("a1", "a2", "a3")), *log("b1", partition=1)], COMMITTED).is_sound


def test_repetitions_within_their_bound_are_no_fault_wherever_they_stand() -> None:
    records = log("a1", "a2", "a1", "a3", "a2", "a1", "b1")
    verdict = judge(records, COMMITTED, most_duplicates=3)
    assert verdict.is_sound
    assert verdict.duplicates == 3
    assert judge(records, COMMITTED, most_duplicates=2).kinds == {"repeated": ["3 times, 2 allowed"]}


def test_an_event_that_never_came_is_lost() -> None:
    assert judge(log("a1", "a2", "a3"), COMMITTED).kinds == {"lost": ["b#1"]}


def test_event_absent_before_later_ones_is_lost_and_gap() -> None:
    assert judge(log("a1", "a3", "b1"), COMMITTED).kinds == {"lost": ["a#2"], "gaps": ["a#2 missing"]}


def test_an_event_that_was_rolled_back_is_a_phantom() -> None:
    assert judge(log("a1", "a2", "a3", "b1", "c1"), COMMITTED).kinds == {"phantoms": ["c#1"]}


def test_disordered_first_occurrences_are_found_despite_ordered_repetitions() -> None:
    verdict = judge(log("b1", "a2", "a1", "a2", "a3"), COMMITTED)
    assert verdict.kinds == {"disorder": ["a#1 behind a#2"]}


def test_record_under_wrong_key_or_sequence_is_altered() -> None:
    swapped = [*log("a1", "a2", "a3"), Record(1, 0, "b1", "b", 2)]
    assert judge(swapped, COMMITTED).kinds["altered"] == ["b#2 was written as b#1"]


def test_key_on_two_partitions_is_split_even_if_repeated() -> None:
    verdict = judge([*log("a1", "a2", "a3", "b1"), *log("b1", partition=1)], COMMITTED)
    assert verdict.kinds == {"split": ["b on 2 partitions"]}


def test_a_report_names_the_first_few_of_each_kind() -> None:
    report = str(judge([], {f"a{n}": ("a", n) for n in range(1, 20)}))
    assert report == "lost (19): a#1; a#2; a#3; a#4; a#5\nrepetitions: 0"
