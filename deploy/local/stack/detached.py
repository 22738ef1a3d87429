"""`up --detach`: run the stack in a new session; the starter relays progress and exits once all is ready."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO

from deploy.local.kafka.selection import KafkaChoice
from deploy.local.processes.child import last_lines
from deploy.local.stack.foreground import run_in_foreground
from deploy.local.stack.options import StackOptions
from deploy.local.state.data_directory import DataDirectory
from shared.errors import ExitflowError

_READY = "ready"
_PROGRESS = "progress "
_MODULE = "deploy.local.stack.detached"
_REPOSITORY = Path(__file__).resolve().parents[3]
_INTERRUPTED = 130
_TOLD = 3
"""Exit status of a background process that has reported its end itself."""

log = logging.getLogger(__name__)


def start_detached(options: StackOptions, on_progress: Callable[[str], None]) -> int:
    """Start the stack in the background; return 0 once every process is ready, else print the reason."""
    directory = DataDirectory(options.data_dir)
    try:
        directory.make()
    except ExitflowError as error:
        on_progress(str(error))
        return 1
    log_file = directory.log_file("supervisor")
    reader, writer = os.pipe()
    child = _spawn(options, writer, log_file)
    with os.fdopen(reader) as lines:
        try:
            ready = _relay(lines, on_progress)
        except KeyboardInterrupt:
            child.send_signal(signal.SIGTERM)
            child.wait()
            return _INTERRUPTED
    if ready:
        return 0
    if child.wait() != _TOLD:
        on_progress(f"the stack did not start; the end of {log_file}:\n{last_lines(log_file)}")
    return 1


def _spawn(options: StackOptions, writer: int, log_file: Path) -> subprocess.Popen[bytes]:
    told = {**asdict(options), "data_dir": str(options.data_dir)}
    path = os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH"))))
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, json.dumps(told), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[writer],
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
        os.close(writer)


def _relay(lines: IO[str], on_progress: Callable[[str], None]) -> bool:
    """Relay progress until the other end reports ready (True) or ends (False)."""
    for line in lines:
        if line.strip() == _READY:
            return True
        on_progress(line.removeprefix(_PROGRESS).rstrip("\n"))
    return False


class _Starter:
    """The starting process: receives all progress until ready, and nothing after."""

    def __init__(self, descriptor: int) -> None:
        self._pipe: IO[str] | None = os.fdopen(descriptor, "w", buffering=1)

    def progress(self, text: str) -> None:
        log.info(text)
        self._tell(_PROGRESS + text.replace("\n", f"\n{_PROGRESS}"))

    def ready(self) -> None:
        self._tell(_READY)
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _tell(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            self._pipe.write(line + "\n")
        except BrokenPipeError:
            # It was killed; the stack starts all the same and can be seen by `status`.
            self._pipe = None


def main(arguments: list[str]) -> int:
    """Run the background process: options as JSON, and the descriptor of the pipe to the starter."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    told = json.loads(arguments[0])
    starter = _Starter(int(arguments[1]))
    options = StackOptions(
        Path(told["data_dir"]),
        KafkaChoice(told["kafka"]),
        None if told["restrict_to"] is None else tuple(told["restrict_to"]),
        told["ready_timeout_s"],
    )
    return _TOLD if run_in_foreground(options, starter.progress, starter.ready) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
