"""The snapshot at the start of a rebased outbox."""

from __future__ import annotations

import pytest

from services.outbox_relay.restore.rebase import snapshot_without


@pytest.mark.parametrize(
    ("xid", "own", "expected"),
    [
        pytest.param(10, "10:10:", "10:10:", id="nobody else is at work"),
        pytest.param(12, "10:12:10", "10:12:10", id="one is at work that began before"),
        pytest.param(14, "10:12:10", "10:12:10", id="numbers between were given and are not over"),
        pytest.param(10, "12:12:", "10:12:10", id="one that began later is over"),
        pytest.param(10, "9:14:9,12", "9:14:9,10,12", id="some are at work, some are over"),
    ],
)
def test_it_does_not_see_the_rebasing_transaction(xid: int, own: str, expected: str) -> None:
    assert snapshot_without(xid, own) == expected
