"""Whatever is refused, decided or dies: every key's first occurrences are in order, without gaps, all of them."""

from __future__ import annotations

from collections import defaultdict

import pytest

from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.records import KEY, TOPIC
from tests.unit.outbox_relay.parking.parking_model import World


def assert_order_holds(seed: int) -> None:
    """Live through one world and look at its telling."""
    world = World(seed)
    world.live(steps=300)
    world.settle()

    told: dict[tuple[str, str], list[int]] = defaultdict(list)
    for topic, key, sequence in world.kafka.log:
        if sequence not in told[topic, key]:
            told[topic, key].append(sequence)
    written: dict[tuple[str, str], int] = defaultdict(int)
    for row in world.rows:
        written[row[TOPIC], row[KEY]] += 1
    assert dict(told) == {key: list(range(1, count + 1)) for key, count in written.items()}


@pytest.mark.parametrize("seed", range(150))
def test_order_holds(seed: int) -> None:
    assert_order_holds(seed)


def test_relay_unaware_of_parked_keys_is_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParkedKeys, "load", lambda *_: None)
    with pytest.raises(AssertionError):
        for seed in range(20):
            assert_order_holds(seed)
