"""Failpoints: free when off, refused outside tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import ConfigurationError
from shared.failpoints import Failpoint, FailpointHit, arm, arm_from_environment, disarm_all, failpoint


@pytest.fixture(autouse=True)
def _disarmed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    disarm_all()


def test_an_unarmed_point_does_nothing() -> None:
    failpoint(Failpoint.RELAY_AFTER_ACK)


def test_an_armed_point_raises_once_on_the_hit_it_was_armed_for() -> None:
    arm(Failpoint.RELAY_AFTER_ACK, "raise", on_hit=2)
    failpoint(Failpoint.RELAY_AFTER_ACK)
    with pytest.raises(FailpointHit):
        failpoint(Failpoint.RELAY_AFTER_ACK)
    failpoint(Failpoint.RELAY_AFTER_ACK)


def test_arming_is_refused_outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXITFLOW_TESTING")
    monkeypatch.setenv("EXITFLOW_FAILPOINTS", "relay.after_ack=kill")
    with pytest.raises(ConfigurationError, match="refused outside tests"):
        arm_from_environment()


@pytest.mark.parametrize("bad", ["relay.nowhere=kill", "relay.after_ack=explode", "relay.after_ack=kill@x"])
def test_a_misspelt_point_is_an_error_not_a_silent_pass(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_FAILPOINTS", bad)
    with pytest.raises(ConfigurationError):
        arm_from_environment()
