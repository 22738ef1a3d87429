"""The wait between looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.outbox_relay.reading.adaptive_wait import BRISK_S, CALM_S, AdaptivePoll


def poll_after_an_event() -> AdaptivePoll:
    poll = AdaptivePoll(0.001, 0.05)
    poll.found()
    return poll


def test_the_longest_wait_is_taken_until_the_first_event() -> None:
    poll = AdaptivePoll(0.001, 0.05)
    poll.found_nothing()
    assert poll.wait_s == 0.05


def test_poll_wait_grows_with_pause_and_resets_on_event() -> None:
    poll = poll_after_an_event()
    for _ in range(9):
        poll.found_nothing()
        assert poll.wait_s == 0.001
    for _ in range(100):
        poll.found_nothing()
    assert poll.wait_s == BRISK_S
    poll.found()
    assert poll.wait_s == 0.001


def test_longest_poll_wait_follows_only_a_minute_without_events() -> None:
    poll, pause_s = poll_after_an_event(), 0.0
    while poll.wait_s <= BRISK_S:
        pause_s += poll.wait_s
        poll.found_nothing()
    assert pause_s > CALM_S
    assert poll.wait_s == 0.05


@given(st.integers(0, 200))
def test_event_waits_tenth_of_pause_or_shortest_wait(looks: int) -> None:
    poll, pause_s = poll_after_an_event(), 0.0
    for _ in range(looks):
        pause_s += poll.wait_s
        poll.found_nothing()
    assert poll.wait_s <= max(0.001, pause_s / 10 + 1e-9)
