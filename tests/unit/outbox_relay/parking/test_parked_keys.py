"""A key flows again when nothing of it is parked, neither in the database nor on its way there."""

from __future__ import annotations

from services.outbox_relay.parking.parked_keys import ParkedKeys

KEY = ("topic", "key")


def test_a_key_waits_for_its_first_parked_event() -> None:
    keys = ParkedKeys()
    keys.load(3, [(KEY, "first")])
    keys.park(3, KEY, "second")
    assert keys.first_of(3, KEY) == "first"
    assert keys.first_of(3, ("topic", "other")) is None
    assert keys.shards() == [3]


def test_parked_key_does_not_flow_while_event_remains_unwritten() -> None:
    keys = ParkedKeys()
    keys.load(3, [(KEY, "first")])
    keys.park(3, KEY, "second")
    assert not keys.released(3, KEY)
    keys.recorded(3, KEY)
    assert keys.released(3, KEY)
    assert not keys.in_shard(3)


def test_shards_that_are_given_up_are_forgotten() -> None:
    keys = ParkedKeys()
    for shard in (1, 2):
        keys.load(shard, [(KEY, "first")])
    keys.keep_only([2, 3])
    assert keys.shards() == [2]
