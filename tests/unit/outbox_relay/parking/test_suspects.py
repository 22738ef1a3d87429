"""Events in flight at a refusal are suspect until they are published or parked."""

from __future__ import annotations

from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.shards.progress import Progress

KEY, OTHER = ("topic", "key"), ("topic", "other")


def test_suspects_are_keys_of_refused_batch_up_to_sent_sequence() -> None:
    suspects = Suspects()
    suspects.add(3, frozenset({KEY}), 100)
    assert suspects.covers(3, KEY, 100)
    assert not suspects.covers(3, KEY, 101)
    assert not suspects.covers(3, OTHER, 100)
    assert not suspects.covers(4, KEY, 100)


def test_where_the_batch_is_not_known_every_key_is_suspect() -> None:
    suspects = Suspects()
    suspects.add(3, frozenset(), 100)
    assert suspects.covers(3, OTHER, 1)


def test_suspicions_add_up() -> None:
    suspects = Suspects()
    suspects.add(3, frozenset({KEY}), 100)
    suspects.add(3, frozenset({OTHER}), 50)
    assert suspects.covers(3, KEY, 100)
    assert suspects.covers(3, OTHER, 100)
    suspects.add(3, frozenset(), 10)
    assert suspects.covers(3, ("any", "key"), 100)


def test_suspicion_lasts_until_current_and_next_windows_are_published() -> None:
    suspects = Suspects()
    suspects.add(3, frozenset(), 100)
    suspects.taken(3, Progress("10:10:", "20:20:", 5))
    for reached in (Progress("10:10:", "20:20:", 7), Progress("20:20:"), Progress("20:20:", "30:30:", 9)):
        suspects.look_at(3, reached)
        assert suspects.covers(3, KEY, 100)
    suspects.look_at(3, Progress("30:30:"))
    assert not suspects.by_shard
