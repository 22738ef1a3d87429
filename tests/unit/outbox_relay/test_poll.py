"""The wait between looks."""

from __future__ import annotations

from services.outbox_relay.poll import AdaptivePoll


def test_the_wait_doubles_up_to_the_longest_while_nothing_is_found_and_is_shortest_again_after() -> None:
    poll = AdaptivePoll(0.001, 0.006)
    waits = []
    for _ in range(5):
        waits.append(poll.wait_s)
        poll.found_nothing()
    assert waits == [0.001, 0.002, 0.004, 0.006, 0.006]
    poll.found()
    assert poll.wait_s == 0.001
