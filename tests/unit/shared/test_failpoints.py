"""Failpoints: free when off, refused outside tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from shared.errors import ConfigurationError
from shared.runtime.failpoints import STALL_S, Failpoint, FailpointHit, arm, arm_from_environment, disarm_all, failpoint


@pytest.fixture(autouse=True)
def _disarmed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    disarm_all()


def test_an_unarmed_point_does_nothing() -> None:
    failpoint(Failpoint.RELAY_AFTER_ACK)


def test_armed_point_raises_once_on_its_armed_hit() -> None:
    arm(Failpoint.RELAY_AFTER_ACK, "raise", on_hit=2)
    failpoint(Failpoint.RELAY_AFTER_ACK)
    with pytest.raises(FailpointHit):
        failpoint(Failpoint.RELAY_AFTER_ACK)
    failpoint(Failpoint.RELAY_AFTER_ACK)


def test_a_stall_lasts_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setenv("EXITFLOW_FAILPOINTS", "relay.after_ack=stall:2.5@2,relay.mid_batch=stall")
    arm_from_environment()
    for _ in range(3):
        failpoint(Failpoint.RELAY_AFTER_ACK)
    assert slept == [2.5]
    failpoint(Failpoint.RELAY_MID_BATCH)
    assert slept == [2.5, STALL_S]


def test_a_stop_halts_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: sent.append(number))
    arm(Failpoint.RELAY_AFTER_ACK, "stop")
    failpoint(Failpoint.RELAY_AFTER_ACK)
    assert sent == [signal.SIGSTOP]


def test_arming_is_refused_outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXITFLOW_TESTING")
    monkeypatch.setenv("EXITFLOW_FAILPOINTS", "relay.after_ack=kill")
    with pytest.raises(ConfigurationError, match="refused outside tests"):
        arm_from_environment()


@pytest.mark.parametrize(
    "bad", ["relay.nowhere=kill", "relay.after_ack=explode", "relay.after_ack=kill@x", "relay.after_ack=stall:x"]
)
def test_a_misspelt_point_is_an_error_not_a_silent_pass(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_FAILPOINTS", bad)
    with pytest.raises(ConfigurationError):
        arm_from_environment()
