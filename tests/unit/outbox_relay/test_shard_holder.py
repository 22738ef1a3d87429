"""A relay holds its share of the shards, and gives one up only once nothing of it is under way."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from services.outbox_relay.shard_holder import ShardHolder
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.leases import Census
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import Batch, HeldShard

BETWEEN, WITHIN = Progress("10:10:"), Progress("10:10:", "20:20:", 5)


class Parts:
    """The parts of a holder with some shards, without servers."""

    def __init__(self, *shards: HeldShard, share: int, paused: frozenset[int] = frozenset()) -> None:
        self.leases = Mock(held={shard.shard: shard for shard in shards}, runs_out_at=9.0)
        self.leases.census.return_value = Census(relays=1, shards=share, paused=paused)
        self.leases.acquire.return_value = []
        self.leases.is_renewal_due.return_value = False
        self.store, self.quarantine, self.replays = Mock(), Mock(), Mock()
        self.quarantine.holds.return_value = self.replays.holds.return_value = False
        self.holder = ShardHolder(self.leases, self.store, self.quarantine, self.replays, Mock())

    def released(self) -> list[int]:
        """Tend once; the released shards."""
        self.holder.tend()
        return [shard.shard for call in self.leases.release.call_args_list for shard in call.args[0]]


def in_flight(number: int) -> HeldShard:
    """A shard with an event on its way."""
    shard = HeldShard(number, 1, WITHIN)
    shard.unsent.append(Batch([(number, 7)], WITHIN.up_to(7)))
    run = Run(lambda *_: None, WITHIN, 0)
    run.consists_of(1, WITHIN.up_to(7))
    shard.sent(run)
    return shard


def test_idle_shards_leave_before_shards_at_work() -> None:
    shards = in_flight(1), HeldShard(2, 1, WITHIN), HeldShard(3, 1, BETWEEN), HeldShard(4, 1, BETWEEN)
    assert Parts(*shards, share=2).released() == [3, 4]
    assert [shard.shard for shard in shards if shard.leaving] == [3, 4]


def test_a_leaving_shard_stays_until_its_events_are_answered() -> None:
    shard = in_flight(1)
    assert Parts(shard, share=0).released() == []
    assert shard.leaving


def test_a_paused_shard_leaves_and_counts_for_no_share() -> None:
    first, second = HeldShard(1, 1, BETWEEN), HeldShard(2, 1, BETWEEN)
    assert Parts(first, second, share=1, paused=frozenset({1})).released() == [1]
    assert not second.leaving


@pytest.mark.parametrize("part", ["quarantine", "replays"])
def test_a_shard_with_a_record_on_trial_is_not_released(part: str) -> None:
    parts = Parts(HeldShard(1, 1, BETWEEN), share=0)
    getattr(parts, part).holds.return_value = True
    assert parts.released() == []


@pytest.mark.parametrize(("share", "wanted"), [(3, [2]), (1, [])])
def test_free_shards_are_taken_up_to_the_share(share: int, wanted: list[int]) -> None:
    parts = Parts(HeldShard(1, 1, BETWEEN), share=share)
    parts.holder.tend()
    assert [call.args[0] for call in parts.leases.acquire.call_args_list] == wanted


def test_a_renewal_stores_only_progress_that_moved() -> None:
    still, moved = HeldShard(1, 1, BETWEEN), HeldShard(2, 1, WITHIN)
    moved.read_out("20:20:")
    moved.quarantined(Run(lambda *_: None, moved.unsent[0].reaches, 0))
    moved.advance()
    parts = Parts(still, moved, share=2)
    parts.leases.is_renewal_due.return_value = True
    parts.holder.tend()
    assert parts.store.record.call_args_list[-1].args == ([moved],)
