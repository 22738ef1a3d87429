"""Processes of the product, forked from a server with its modules imported: a start costs no imports."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from shared.runtime.catalogue import PROCESSES
from tests.support.signing import SETTINGS

_PR_SET_PDEATHSIG = 1
_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(
    ["services.cli.main", "services.cli.commands.run", *(process.module for process in PROCESSES.values())]
)


def run(*arguments: str) -> str:
    """Return the program of the command `exitflow` with these arguments."""
    return f"import sys; sys.argv[1:] = {list(arguments)!r}; from services.cli.main import main; main()"


class ProductProcess:
    """A process of a Python program; its methods are those of `subprocess.Popen`.

    The kernel kills it when the fork server ends, as it does with the test's process.
    """

    def __init__(self, program: str, environment: Mapping[str, str], output: Path | None = None) -> None:
        """Start it.

        Parameters
        ----------
        environment:
            Its EXITFLOW_ variables besides the tests' keys of events; none is inherited.
        output:
            The file for standard output and error, by default those of the tests.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EXITFLOW_")}
        self.args: Sequence[str] = ("exitflow", program)
        self._process = _FORK_SERVER.Process(
            target=_main,
            args=(program, {**kept, **SETTINGS, **environment}, str(output) if output else None),
            daemon=True,  # ended with the tests, or they would wait for it
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status (negative: the fatal signal); None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status; TimeoutExpired after the limit."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            assert timeout is not None
            raise TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


def _main(program: str, environment: Mapping[str, str], output: str | None) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    os.environ.clear()
    os.environ.update(environment)
    if output is not None:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
    sys.argv = ["exitflow"]
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})
