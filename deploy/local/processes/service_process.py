"""A service of the project as a child process with its own environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.processes.child import Command, clean_environment
from deploy.local.processes.ports import LOOPBACK, accepts
from deploy.local.processes.server import ChildServer
from shared.http.clients import direct, why_silent

_REPOSITORY = Path(__file__).resolve().parents[3]
_ASK_LIMIT_S = 2


class ServiceProcess(ChildServer):
    """``exitflow run NAME``, ready according to its ``/readyz``.

    Parameters
    ----------
    environment:
        Its settings; nothing else of ours but PATH reaches it.
    port:
        Loopback port of its HTTP.
    """

    stop_limit_s: float = 15

    def __init__(
        self, name: str, port: int, environment: Mapping[str, str], *, directory: Path, log_file: Path
    ) -> None:
        super().__init__(name, log_file)
        self._port = port
        self._environment = environment
        self._directory = directory

    @property
    def probe(self) -> str:
        """Return its ``/readyz`` URL; it answers 200 when ready."""
        return f"http://{LOOPBACK}:{self._port}/readyz"

    def command(self) -> Command:
        """Return the command, using the current Python."""
        return Command(
            # -P: the working directory must not be searched for modules.
            argv=[sys.executable, "-P", "-m", "services.cli.main", "run", self.name],
            log_file=self.log_file,
            directory=self._directory,
            environment=clean_environment(
                PYTHONPATH=str(_REPOSITORY),
                PYTHONUNBUFFERED="1",
                EXITFLOW_HTTP_HOST=LOOPBACK,
                EXITFLOW_HTTP_PORT=str(self._port),
                **self._environment,
            ),
        )

    def is_ready(self) -> bool:
        """Return True if its ``/readyz`` answers 200."""
        return self.pid is not None and accepts(self._port) and not why_not_ready(self.probe)

    def why_not_ready(self) -> str:
        """Return its ``/readyz`` problems; empty if it is ready by now."""
        return why_not_ready(self.probe)


def why_not_ready(url: str) -> str:
    """Return the problems shown by ``/readyz`` at this loopback URL; empty if it soon answers 200."""
    try:
        answer = httpx.get(url, timeout=_ASK_LIMIT_S, **direct(url))
        return "" if answer.status_code == httpx.codes.OK else str(answer.json()["detail"])
    except httpx.HTTPError as error:
        return f"does not answer ({why_silent(error)})"
    except (ValueError, KeyError, TypeError):
        return f"answers {answer.status_code}"
