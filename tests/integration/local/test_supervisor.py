"""The supervisor, over tiny real programs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.processes.child import Command, clean_environment
from deploy.local.processes.registry import Entry, end_leftovers, entry_of, write_processes
from deploy.local.processes.server import ChildServer
from deploy.local.processes.shortages import told_end
from deploy.local.processes.supervisor import STARTS, Supervisor
from shared.errors import Unavailable
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_until

QUICK_S = 0.02
SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
ENDS = "raise SystemExit(7)"
WANTS_A_FILE = """
import pathlib, sys, time
if not pathlib.Path(sys.argv[1]).exists():
    sys.exit("something is missing")
print('up', flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
WRITES = """
import sys, time
with open(sys.argv[1], 'wb', buffering=0) as file:
    if file.write(bytes(100_000)) < 100_000:
        sys.exit("short write")
    print('up', flush=True)
    while True:
        if file.write(bytes(4096)) < 4096:
            sys.exit("short write")
        time.sleep(0.05)
"""
NOTES_ITS_END = """
import signal, sys, time
def end(*_):
    open(sys.argv[2], 'a').write(sys.argv[1] + ' ')
    sys.exit(0)
signal.signal(15, end)
print('up', flush=True)
time.sleep(600)
"""


class Tiny(ChildServer):
    """A Python program; it is ready once it has printed something."""

    stop_limit_s: float = 10

    def __init__(self, name: str, program: str, directory: Path, *arguments: str) -> None:
        super().__init__(name, directory / f"{name}.log")
        self._argv = [sys.executable, "-S", "-c", program, *arguments]
        self._directory = directory

    def command(self) -> Command:
        return Command(self._argv, self.log_file, self._directory, clean_environment())

    def is_ready(self) -> bool:
        return self.pid is not None and self.log_file.stat().st_size > 0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(said.append, lambda: True, longest_wait_s=QUICK_S)
    yield supervisor
    supervisor.stop()


def _entry(server: ChildServer) -> Entry:
    return entry_of(server, 0)


def _never() -> bool:
    return False


def _look_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    def looked() -> bool:
        supervisor.look()
        return condition()

    wait_until(looked, "what the supervisor is to do")


def _start(supervisor: Supervisor, *servers: ChildServer) -> None:
    supervisor.launch(servers)
    supervisor.await_ready(30, _never, lambda name: None)


def test_a_killed_process_is_started_again_and_it_is_told(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    server = Tiny("worker", SLEEPS, tmp_path)
    _start(supervisor, server)
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        supervisor.look()
        return server.pid not in (None, first)

    wait_until(again, "another process")
    assert supervisor.supervised[0].restarts == 1
    assert said == ["worker: restarting, attempt 1, ended by SIGKILL; next start in 0.0 s"]


def test_supervisor_waits_for_missing_resource_without_bound_and_reports_it(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    resource = tmp_path / "resource"
    resource.touch()
    server = Tiny("worker", WANTS_A_FILE, tmp_path, str(resource))
    _start(supervisor, server)
    (one,) = supervisor.supervised
    resource.unlink()
    os.kill(server.pid or 0, signal.SIGKILL)
    _look_until(supervisor, lambda: one.failures_in_a_row > 2 * STARTS)
    assert one.state == f"restarting, attempt {one.failures_in_a_row}, ended with status 1: something is missing"
    resource.touch()
    _look_until(supervisor, lambda: not one.state)
    assert server.pid is not None
    assert said[-1].startswith(f"worker is ready again, at attempt {one.failures_in_a_row}")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("of a kind not foreseen")])
def test_server_that_cannot_start_does_not_end_the_others(
    supervisor: Supervisor, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = Tiny("broken", SLEEPS, tmp_path), Tiny("other", SLEEPS, tmp_path)
    _start(supervisor, broken, other)
    one = supervisor.supervised[0]

    def refuse() -> Command:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(broken, "command", refuse)
        os.kill(broken.pid or 0, signal.SIGKILL)
        _look_until(supervisor, lambda: one.failures_in_a_row > STARTS)
    assert str(error) in one.state
    assert other.pid is not None
    _look_until(supervisor, lambda: not one.state)


def test_unreachable_server_is_asked_again_while_others_continue(
    supervisor: Supervisor, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Tiny("worker", SLEEPS, tmp_path)
    _start(supervisor, server)
    (one,) = supervisor.supervised

    def refuse() -> bool:
        raise RuntimeError("no descriptor left")

    with monkeypatch.context() as patched:
        patched.setattr(server, "is_ready", refuse)
        os.kill(server.pid or 0, signal.SIGKILL)
        _look_until(supervisor, lambda: "worker cannot be asked whether it is ready: no descriptor left" in said)
        assert one.state
    _look_until(supervisor, lambda: not one.state)


def test_unrecorded_state_is_recorded_later_without_second_start(tmp_path: Path) -> None:
    answers, servers = [True, False, False, False], [Tiny("worker", SLEEPS, tmp_path)]
    supervisor = Supervisor(lambda line: None, lambda: answers.pop(0) if answers else True, longest_wait_s=QUICK_S)
    try:
        _start(supervisor, *servers)
        os.kill(servers[0].pid or 0, signal.SIGKILL)
        _look_until(supervisor, lambda: not answers and not supervisor.supervised[0].state)
        assert supervisor.supervised[0].restarts == 1
    finally:
        supervisor.stop()


def test_server_on_full_disk_recovers_when_space_returns(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    with small_disk(tmp_path, 8) as disk:
        server = Tiny("writer", WRITES, tmp_path, str(tmp_path / "data"))
        _start(supervisor, server)
        (one,) = supervisor.supervised
        disk.fill()
        _look_until(supervisor, lambda: one.failures_in_a_row > STARTS)
        assert one.state == f"restarting, attempt {one.failures_in_a_row}, No space left on device"
        disk.free()
        _look_until(supervisor, lambda: not one.state)
        supervisor.stop()


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("LOG: starting\nFATAL: lock file exists\nLOG: database system is shut down\n", "FATAL: lock file exists"),
        ("java.io.IOException: broken\n\tat java.base/Thread.run\n", "java.io.IOException: broken"),
        ("exitflow: a setting is missing\n", "exitflow: a setting is missing"),
    ],
)
def test_the_line_that_says_why_a_program_ended_is_told(log: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(log)
    assert told_end(1, tmp_path / "log") == f"ended with status 1: {why}"
    assert told_end(0, tmp_path / "log") == "ended with status 0"


def test_stack_start_reports_what_it_waits_for_and_why(
    supervisor: Supervisor, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.processes.supervisor.TELL_S", 0.2)
    supervisor.launch([Tiny("slow", "import time; time.sleep(600)", tmp_path)])
    with pytest.raises(Unavailable, match=r"not ready within 1 s: slow \(does not answer; its log is .*slow.log\)"):
        supervisor.await_ready(1, _never, lambda name: None)
    assert said[0].startswith("waiting, 0 s of 1 s") and said[1] == "  slow does not answer"


def test_process_that_keeps_ending_is_abandoned_during_stack_start(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.launch([Tiny("broken", ENDS, tmp_path)])
    with pytest.raises(Unavailable, match="broken") as raised:
        supervisor.await_ready(30, _never, lambda name: None)
    assert raised.value.details["servers"] == ["broken"]


def test_a_server_whose_data_dies_with_it_ends_the_stack(supervisor: Supervisor, tmp_path: Path) -> None:
    server = Tiny("memory", SLEEPS, tmp_path)
    supervisor.launch([server], restartable=False)
    supervisor.await_ready(30, _never, lambda name: None)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="its data with it"):
        supervisor.run(_never)


def test_the_last_stage_ends_first(supervisor: Supervisor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for name in ("database", "relay", "worker"):
        _start(supervisor, Tiny(name, NOTES_ITS_END, tmp_path, name, str(notes)))
    supervisor.stop()
    assert notes.read_text().split() == ["worker", "relay", "database"]


def test_process_that_does_not_end_is_killed_at_limit(supervisor: Supervisor, tmp_path: Path) -> None:
    server = Tiny("stubborn", STUBBORN, tmp_path)
    server.stop_limit_s = 0.2
    _start(supervisor, server)
    supervisor.stop()
    assert server.exit_status == -signal.SIGKILL


def test_leftovers_of_killed_supervisor_are_ended_but_reused_pids_spared(tmp_path: Path) -> None:
    left, stranger = Tiny("left", SLEEPS, tmp_path), Tiny("stranger", SLEEPS, tmp_path)
    left.start()
    stranger.start()
    entry, of_another = _entry(left), _entry(stranger)
    reused = of_another.model_copy(update={"born": of_another.born - 60})
    book = tmp_path / "processes.json"
    write_processes(book, {"left": entry, "stranger": reused})
    assert end_leftovers(book) == ["left"]
    assert left.pid is None
    assert stranger.pid is not None
    stranger.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_dies_when_its_starter_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    starter = Tiny("starter", STARTER, tmp_path, str(tmp_path), str(pid_file), *sys.path)
    starter.launch()
    wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the grandchild")
    grandchild = psutil.Process(int(pid_file.read_text()))
    assert starter.pid is not None
    os.kill(starter.pid, signal.SIGKILL)
    wait_until(lambda: not grandchild.is_running() or grandchild.status() == "zombie", "its end")
    starter.stop()


STARTER = """
import sys, time
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from deploy.local.processes.child import Child, Command, clean_environment
directory = Path(sys.argv[1])
argv = [sys.executable, '-c', 'import time; time.sleep(600)']
child = Child(Command(argv, directory / 'grandchild.log', directory, clean_environment()))
Path(sys.argv[2]).write_text(f'{child.pid}\\n')
time.sleep(600)
"""
