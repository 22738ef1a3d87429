"""A real Apache Kafka of our own: one node in KRaft mode, on the loopback interface alone."""

from __future__ import annotations

import base64
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.kafka.broker import answers
from deploy.local.kafka.class_archive import archive_options
from deploy.local.kafka.jars import kafka_jars
from deploy.local.kafka.java import find_java
from deploy.local.kafka.security import PUBLIC_PROPERTIES, KafkaSecurity, file_properties, jaas_option, properties
from deploy.local.postgres.unix_account import make_owned, make_passable, make_private, server_account
from deploy.local.processes.child import Child, Command, clean_environment, last_lines
from deploy.local.processes.ports import LOOPBACK, accepts
from deploy.local.processes.server import ChildServer
from deploy.local.secrets.private_files import write_private
from shared.errors import ConfigurationError
from shared.ids import new_id

HEAP = "512m"
QUICK_START = (f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""A small machine's choice: up in half the time, slower under load, and without figures for jstat twenty times a
second."""
FORMAT_LIMIT_S = 60

_SINGLE_NODE = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A broker killed outright may register again only after its old session has ended.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # A lone controller has no follower to notice its silence: no record every half second while nothing happens.
    "metadata.max.idle.interval.ms": "0",
    "group.initial.rebalance.delay.ms": "0",
    # Each of these threads looks for work three times a second, and the controller has as many for requests.
    "num.io.threads": "2",
    "num.network.threads": "2",
    "group.coordinator.threads": "1",
    # Below Kafka's default of 6 s, so the partitions of a dead consumer may move sooner.
    "group.min.session.timeout.ms": "2000",
    # If a full disk cannot hold an index page, the broker writes an offset twice, and its next start after a kill
    # then empties the partition (decision 90). An entry for every 64 KB, not 4 KB, needs a sixteenth of the pages.
    "log.index.interval.bytes": str(64 * 1024),
    # The cleaner's buffer is taken from the heap whole, and 128 MB is its default.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


class ApacheKafka(ChildServer):
    """A combined broker and controller, with its log in one directory.

    Parameters
    ----------
    data_dir:
        Ours; made if missing. The log is in ``log`` below it.
    port, controller_port:
        Loopback ports for clients and for itself.
    log_file:
        By default ``kafka.log`` in the data directory.
    jvm:
        Options of the Java machine: heap, collector, compiler.
    security:
        If given, clients come by SASL_SSL alone and need a grant in the access lists.
    """

    survives_restart = True
    start_limit_s: float = 90
    stop_limit_s: float = 30

    def __init__(
        self,
        data_dir: Path,
        port: int,
        controller_port: int,
        *,
        log_file: Path | None = None,
        jvm: Sequence[str] = QUICK_START,
        security: KafkaSecurity | None = None,
    ) -> None:
        super().__init__("kafka", log_file or data_dir / "kafka.log")
        self._data_dir = data_dir
        self._log_dir = data_dir / "log"
        self._properties = data_dir / "server.properties"
        self._port = port
        self._controller_port = controller_port
        self._jvm = tuple(jvm)
        self._security = security
        self._account = server_account()

    @property
    def bootstrap_servers(self) -> str:
        """Return the bootstrap address, ``host:port``."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def probe(self) -> str:
        """Return ``kafka://host:port``."""
        return f"kafka://{self.bootstrap_servers}"

    def command(self) -> Command:
        """Return the command running the broker on its configuration file."""
        return self._java("kafka.Kafka", str(self._properties))

    def launch(self) -> None:
        """Write the configuration, format the storage if there is none, and start the broker."""
        make_passable(self._data_dir, self._account)
        self._properties.write_text(self._configuration())
        self._properties.chmod(0o644)
        for name, text in (self._security.files() if self._security else {}).items():
            secret = self._data_dir / name
            write_private(secret, text)
            make_private(secret, self._account)
        if not (self._log_dir / "meta.properties").exists():
            self._format()
        super().launch()

    def is_ready(self) -> bool:
        """Return True if it lists its topics to a client."""
        return accepts(self._port) if self._security else answers(self.bootstrap_servers)

    def _configuration(self) -> str:
        name = "PLAINTEXT" if self._security is None else "CLIENTS"
        own = {
            "listeners": f"{name}://{LOOPBACK}:{self._port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"{name}://{LOOPBACK}:{self._port}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "log.dirs": str(self._log_dir),
        }
        if self._security is None:
            return properties({**_SINGLE_NODE, **own})
        secured = {
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            **PUBLIC_PROPERTIES,
            **file_properties(str(self._data_dir)),
        }
        return properties({**_SINGLE_NODE, **own, **secured})

    def _format(self) -> None:
        make_owned(self._log_dir, self._account)
        cluster_id = base64.urlsafe_b64encode(new_id().bytes).decode().rstrip("=")
        tool = Child(
            self._java(
                "kafka.tools.StorageTool",
                "format",
                "--ignore-formatted",
                f"--cluster-id={cluster_id}",
                f"--config={self._properties}",
            )
        )
        try:
            status = tool.wait(FORMAT_LIMIT_S)
        except subprocess.TimeoutExpired:
            tool.stop(0)
            status = None
        if status != 0:
            raise ConfigurationError(f"Kafka's storage could not be formatted:\n{last_lines(self.log_file)}")

    def _java(self, main: str, *arguments: str) -> Command:
        java = find_java(self._account)
        return Command(
            argv=[
                str(java),
                *archive_options(java),
                *self._jvm,
                # Without memory in one of its threads a broker would stay, half alive.
                "-XX:+ExitOnOutOfMemoryError",
                "-Djava.awt.headless=true",
                f"-Djava.io.tmpdir={self._log_dir}",
                *((jaas_option(str(self._data_dir)),) if self._security else ()),
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
                "-cp",
                f"{kafka_jars()}/*",
                main,
                *arguments,
            ],
            log_file=self.log_file,
            directory=self._data_dir,
            environment=clean_environment(),
            account=self._account,
            death_signal=signal.SIGTERM,
        )
