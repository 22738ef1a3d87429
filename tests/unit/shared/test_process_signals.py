"""A process ends when told to, whichever of its threads the kernel hands the signal to."""

from __future__ import annotations

import resource
import select
import signal
import sys
import threading
import traceback
from collections.abc import Iterator

import pytest

from shared.runtime.stopping import Stop, exit_on_sigterm, stop_on_signals
from shared.runtime.threads import ThreadGroup
from tests.support.waiting import LIMIT_S


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class TakesTheSignal:
    """A part of a process with the thread chosen for SIGTERM."""

    def run(self, stop: threading.Event) -> None:
        while not main_thread_waits():
            stop.wait(0.001)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert stop.wait(LIMIT_S), "the signal was not handled"


def main_thread_waits() -> bool:
    """Whether it waits for the stop."""
    main = threading.main_thread().ident
    assert main is not None
    stack = [frame for frame, _ in traceback.walk_stack(sys._current_frames()[main])]
    return stack[0].f_code is Stop.wait.__code__


def test_main_thread_waiting_for_end_receives_signal() -> None:
    stop = stop_on_signals()
    thread = threading.Thread(target=TakesTheSignal().run, args=(stop,))
    thread.start()
    assert stop.wait()
    thread.join()


def test_process_with_all_threads_busy_receives_signal() -> None:
    with ThreadGroup(stop_on_signals()).add("work", TakesTheSignal().run) as group:
        assert group.stop.wait()


def test_sigterm_lets_a_command_clean_up() -> None:
    exit_on_sigterm()
    cleaned: list[str] = []
    with pytest.raises(SystemExit) as ended:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append("servers")
    assert ended.value.code == 128 + signal.SIGTERM
    assert cleaned == ["servers"]


def test_descriptor_of_a_stop_is_readable_once_it_is_set() -> None:
    stop, readable = Stop(), select.poll()
    readable.register(stop, select.POLLIN)
    assert not readable.poll(0)
    stop.set()
    assert stop.wait() and readable.poll(0), "a wait takes nothing from the others"


def test_waiting_main_thread_takes_no_cpu_time_for_looks() -> None:
    stop = Stop()
    threading.Timer(0.5, stop.set).start()
    switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    assert stop.wait()
    # One wait, and a few of the interpreter's lock on a busy machine; looks every 50 ms would be ten.
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - switches <= 5
