"""Failpoints: free when off, refused outside tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


STOPS = 20
STOPPED_IN_A_THREAD = f"""
import os, threading
from shared.runtime.failpoints import Failpoint, arm, failpoint

def work():
    for _ in range({STOPS}):
        arm(Failpoint.RELAY_AFTER_ACK, "stop")
        failpoint(Failpoint.RELAY_AFTER_ACK)
        os.write(1, b"x")

threading.Thread(target=work).start()
"""


def test_a_stop_in_any_thread_halts_the_process_at_once() -> None:
    written_after_stops = []
    with subprocess.Popen([sys.executable, "-c", STOPPED_IN_A_THREAD], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        for _ in range(STOPS):
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            written_after_stops.append(len(process.stdout.read() or b""))
            process.send_signal(signal.SIGCONT)
    assert written_after_stops == [0] + [1] * (STOPS - 1)


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
