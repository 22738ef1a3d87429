"""Processes forked from the server of imports."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.product_process import ProductProcess

LIMIT_S = 60
ASKS = "import os; print(os.environ.get('EXITFLOW_HTTP_PORT'), os.environ.get('EXITFLOW_KAFKA_TOPIC_PREFIX'))"
ENDS = "raise SystemExit(7)"
FAILS = "raise RuntimeError('it failed')"
SLEEPS = "import time; time.sleep(600)"
MAKES_IDS = "from shared.ids import new_id, new_secret; print(new_id().int % 2**62, new_secret())"


def test_it_has_its_own_settings_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", "of-the-tests")
    process = ProductProcess(ASKS, {"EXITFLOW_HTTP_PORT": "1"}, tmp_path / "log")
    assert process.wait(LIMIT_S) == 0
    assert (tmp_path / "log").read_text() == "1 None\n"


@pytest.mark.parametrize(("program", "status", "log"), [(ENDS, 7, ""), (FAILS, 1, "it failed")])
def test_its_end_has_its_status(program: str, status: int, log: str, tmp_path: Path) -> None:
    assert ProductProcess(program, {}, tmp_path / "log").wait(LIMIT_S) == status
    assert log in (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(how: signal.Signals) -> None:
    process = ProductProcess(SLEEPS, {})
    assert process.poll() is None
    process.send_signal(how)
    assert process.wait(LIMIT_S) == -how
    process.kill()  # of an ended process: nothing


def test_each_draws_its_own_random_numbers(tmp_path: Path) -> None:
    """An import with a random draw would leave its generator to all forks afterwards."""
    processes = [ProductProcess(MAKES_IDS, {}, tmp_path / str(number)) for number in range(4)]
    assert [process.wait(LIMIT_S) for process in processes] == [0] * 4
    drawn = [word for number in range(4) for word in (tmp_path / str(number)).read_text().split()]
    assert len(set(drawn)) == 8
