"""`up` in the foreground: until SIGINT, SIGTERM or SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from deploy.local.stack.local_stack import LocalStack
from deploy.local.stack.options import StackOptions
from deploy.local.state.data_directory import AlreadyRunning, DataDirectory
from shared.clock import SystemClock
from shared.errors import ExitflowError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_in_foreground(options: StackOptions, on_progress: Callable[[str], None], on_ready: Callable[[], None]) -> int:
    """Run a stack; return 0 after a stop request, 1 after a reported failure.

    Call it from the main thread: signals arrive there, and the stack's processes end with it.
    """
    say = _timed(on_progress)
    directory = DataDirectory(options.data_dir)
    try:
        directory.make()
        with directory.locked(), _asked_to_stop() as stopping:
            LocalStack(options, say, stopping).run(lambda: _announce(directory, say, on_ready))
    except AlreadyRunning as error:
        on_progress(f"{error}; `exitflow status` shows it, `exitflow down` stops it")
        return 1
    except (ExitflowError, OSError) as error:
        on_progress(f"failed: {error}")
        return 1
    return 0


def _announce(directory: DataDirectory, say: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    say(f"everything is ready; {directory.stack_file} says where")
    on_ready()


def _timed(on_progress: Callable[[str], None]) -> Callable[[str], None]:
    """Put the seconds since now before each line; who no longer listens must not stop the stack."""
    clock = SystemClock()
    start = clock.monotonic()

    def say(line: str) -> None:
        with suppress(OSError):
            on_progress(f"{clock.monotonic() - start:6.1f} s  {line}")

    return say


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Return True after a stop signal; further signals change nothing, as every step has a time limit."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
