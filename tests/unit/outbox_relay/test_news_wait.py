"""When a relay polls, and when it rests until it is notified."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from services.outbox_relay.reading.adaptive_wait import AdaptivePoll
from services.outbox_relay.reading.news_wait import BUSY_LOOKS, REST_AFTER_S, NewsWait
from shared.runtime.stopping import Stop


class Signal:
    """A signal to be armed, or not."""

    def __init__(self) -> None:
        self.may_arm, self.is_armed, self.is_notified = True, False, False
        self.waited_s: list[float] = []

    def has_come(self) -> bool:
        return self.is_notified

    def arm(self) -> None:
        self.is_armed = self.may_arm

    def disarm(self) -> None:
        self.is_armed = False

    def wait(self, limit_s: float, _: Stop) -> bool:
        self.waited_s.append(limit_s)
        return self.is_notified


def news_wait(signal: Signal, lease_s: float = 10) -> NewsWait:
    poll = AdaptivePoll(0.001, 0.05)
    poll.found()
    return NewsWait(poll, signal, lease_s, Mock(return_value=True))  # type: ignore[arg-type]  # has the used methods


def look_until_armed(news: NewsWait, signal: Signal) -> float:
    """Return the seconds of the waits before writers notify."""
    waited_s = 0.0
    while not signal.is_armed:
        assert not news.is_resting
        waited_s += news.wait_s
        assert waited_s < 10 * REST_AFTER_S, "writers never notify"
        news.found_nothing(is_all_done=True)
    return waited_s


def test_relay_looks_once_more_after_writers_notify_then_rests() -> None:
    signal = Signal()
    news = news_wait(signal)
    assert look_until_armed(news, signal) >= REST_AFTER_S
    assert not news.is_resting, "what was committed before writers notify must be looked for"
    news.found_nothing(is_all_done=True)
    assert news.is_resting


def test_busy_relay_neither_rests_nor_enables_writer_notifications() -> None:
    signal = Signal()
    news = news_wait(signal)
    for _ in range(1000):
        news.found_nothing(is_all_done=False)
    assert not signal.is_armed
    look_until_armed(news, signal)
    news.found_nothing(is_all_done=False)
    assert not news.is_resting


@pytest.mark.parametrize("is_notified", [True, False])
def test_notification_ends_rest_but_next_look_time_does_not(is_notified: bool) -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    news.found_nothing(is_all_done=True)
    signal.is_notified = is_notified
    news.rest(Stop())
    assert signal.is_armed
    assert news.is_resting == (not is_notified)
    assert (news.wait_s == 0.001) == is_notified, "after a notification it looks at once, and soon again"


def test_events_found_without_a_notification_end_the_rest() -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    news.found_nothing(is_all_done=True)
    news.found()
    assert not news.is_resting


def test_single_commits_leave_writers_notifying() -> None:
    signal = Signal()
    signal.is_notified = True
    news = news_wait(signal)
    look_until_armed(news, signal)
    for _ in range(100):
        news.found_nothing(is_all_done=True)
        assert news.is_resting
        news.rest(Stop())
        for _ in range(BUSY_LOOKS - 1):
            news.found()
    assert signal.is_armed


def test_looks_that_keep_finding_events_end_the_notifications() -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    for _ in range(BUSY_LOOKS):
        assert signal.is_armed
        news.found()
    assert not signal.is_armed


def test_looks_are_spared_while_each_commit_is_notified() -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    assert not news.is_nothing_new(), "what was committed before writers notify must be looked for"
    news.looked()
    assert news.is_nothing_new()
    signal.is_notified = True
    assert not news.is_nothing_new()
    signal.is_notified = False
    assert not news.is_nothing_new(), "a notification is taken once, and its commit must be looked for"


def test_no_look_is_spared_while_writers_do_not_notify() -> None:
    signal = Signal()
    news = news_wait(signal)
    news.looked()
    assert not news.is_nothing_new()
    look_until_armed(news, signal)
    news.looked()
    for _ in range(BUSY_LOOKS):
        news.found()
    assert not news.is_nothing_new()


@pytest.mark.parametrize("is_notified", [True, False])
def test_a_look_follows_each_rest(is_notified: bool) -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    news.looked()
    news.found_nothing(is_all_done=True)
    signal.is_notified = is_notified
    news.rest(Stop())
    signal.is_notified = False
    assert not news.is_nothing_new()


def test_other_shards_are_looked_at_without_a_notification() -> None:
    signal = Signal()
    news = news_wait(signal)
    look_until_armed(news, signal)
    news.looked()
    news.must_look()
    assert not news.is_nothing_new()


def test_a_relay_that_cannot_rest_goes_on_polling() -> None:
    signal = Signal()
    signal.may_arm = False
    news = news_wait(signal)
    for _ in range(1000):
        news.found_nothing(is_all_done=True)
        assert not news.is_resting
    assert news.wait_s <= 0.05


@pytest.mark.parametrize(("lease_s", "rest_s"), [(10.0, 2.0), (60.0, 2.0), (1.0, 0.2)])
def test_a_rest_is_short_beside_the_lease(lease_s: float, rest_s: float) -> None:
    signal = Signal()
    news_wait(signal, lease_s).rest(Stop())
    assert signal.waited_s == [rest_s]
