"""The verdict on a relay: the topic's records against the database's committed events. Pure.

It holds for any way of publishing: at least once, first occurrences in order per key and without gaps, each key on
one partition.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

SHOWN = 5
"""How many findings of a kind a report names."""


class Published(Protocol):
    """A record of the topic, as far as the verdict needs it."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def event_id(self) -> str: ...
    @property
    def sequence(self) -> int: ...


Committed = Mapping[str, tuple[str, int]]
"""The database's events: event id → key and ``ce_sequence``."""


@dataclass(frozen=True)
class Verdict:
    """The findings, by kind; each is a line for a reader.

    Attributes
    ----------
    lost:
        Committed and not in the topic.
    phantoms:
        In the topic and never committed.
    altered:
        In the topic with another key or sequence than in the database.
    disorder:
        First occurrences of a key after a later event of it.
    gaps:
        Sequence numbers skipped by a key's first occurrences, or by the database itself.
    split:
        Keys on more than one partition.
    repeated:
        Set if there are more repetitions than allowed.
    duplicates:
        Records beyond the first of each event.
    """

    lost: Sequence[str] = ()
    phantoms: Sequence[str] = ()
    altered: Sequence[str] = ()
    disorder: Sequence[str] = ()
    gaps: Sequence[str] = ()
    split: Sequence[str] = ()
    repeated: Sequence[str] = ()
    duplicates: int = 0

    @property
    def kinds(self) -> dict[str, Sequence[str]]:
        """The kinds of fault found."""
        found = {
            "lost": self.lost,
            "phantoms": self.phantoms,
            "altered": self.altered,
            "disorder": self.disorder,
            "gaps": self.gaps,
            "split": self.split,
            "repeated": self.repeated,
        }
        return {kind: lines for kind, lines in found.items() if lines}

    @property
    def is_sound(self) -> bool:
        """True if nothing was found."""
        return not self.kinds

    def __str__(self) -> str:
        lines = [f"{kind} ({len(found)}): {'; '.join(found[:SHOWN])}" for kind, found in self.kinds.items()]
        return "\n".join([*lines, f"repetitions: {self.duplicates}"])


def judge(records: Iterable[Published], committed: Committed, most_duplicates: int) -> Verdict:
    """Compare a topic, read to its end, with the events of its outbox; so many repetitions are allowed."""
    log = sorted(records, key=lambda record: (record.partition, record.offset))
    first = _first_occurrences(log)
    by_key = _by_key(first.values())
    duplicates = len(log) - len(first)
    return Verdict(
        lost=[_event(*committed[event_id]) for event_id in committed if event_id not in first],
        phantoms=[_event(r.key, r.sequence) for event_id, r in first.items() if event_id not in committed],
        altered=_altered(log, committed),
        disorder=[line for key, sequences in by_key.items() for line in _disorder(key, sequences)],
        gaps=[line for key, sequences in by_key.items() for line in _gaps(key, sequences)],
        split=_split(log),
        repeated=[f"{duplicates} times, {most_duplicates} allowed"] if duplicates > most_duplicates else [],
        duplicates=duplicates,
    )


def _first_occurrences(log: Sequence[Published]) -> dict[str, Published]:
    first: dict[str, Published] = {}
    for record in log:
        first.setdefault(record.event_id, record)
    return first


def _by_key(records: Iterable[Published]) -> dict[str, list[int]]:
    sequences = defaultdict(list)
    for record in records:
        sequences[record.key].append(record.sequence)
    return sequences


def _altered(log: Sequence[Published], committed: Committed) -> list[str]:
    return [
        f"{_event(record.key, record.sequence)} was written as {_event(*committed[record.event_id])}"
        for record in log
        if committed.get(record.event_id, (record.key, record.sequence)) != (record.key, record.sequence)
    ]


def _disorder(key: str, sequences: Sequence[int]) -> list[str]:
    return [
        f"{_event(key, later)} behind {_event(key, before)}" for before, later in pairwise(sequences) if later <= before
    ]


def _gaps(key: str, sequences: Sequence[int]) -> list[str]:
    missing = set(range(1, max(sequences) + 1)) - set(sequences)
    return [f"{_event(key, sequence)} missing" for sequence in sorted(missing)]


def _split(log: Sequence[Published]) -> list[str]:
    places = Counter(key for key, _ in {(record.key, record.partition) for record in log})
    return [f"{key} on {partitions} partitions" for key, partitions in places.items() if partitions > 1]


def _event(key: str, sequence: int) -> str:
    return f"{key}#{sequence}"
