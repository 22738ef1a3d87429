"""Kafka's log and the database belong together: offsets in one speak of the other."""

from __future__ import annotations

from deploy.local.kafka.selection import Decision, KafkaChoice
from deploy.local.state.data_directory import DataDirectory
from shared.errors import ConfigurationError


def must_start_fresh(directory: DataDirectory, decision: Decision) -> bool:
    """Return True if the database belongs to a lost log; remember the Kafka of the directory's data.

    A log kept in memory by Tansu is lost with its process.

    Raises
    ------
    ConfigurationError
        The data belongs to a Kafka with a lasting log, and another one was chosen: it would be lost.
    """
    kept_by = _kept_by(directory)
    if kept_by not in (None, KafkaChoice.TANSU, decision.kafka):
        raise ConfigurationError(
            f"the data in {directory.root} belongs to Kafka {str(kept_by)!r}, now {str(decision.kafka)!r} was chosen"
            f"{f' ({decision.note})' if decision.note else ''}; use --kafka {kept_by} or another data directory"
        )
    directory.broker_file.write_text(decision.kafka)
    return KafkaChoice.TANSU in (kept_by, decision.kafka)


def _kept_by(directory: DataDirectory) -> KafkaChoice | None:
    file = directory.broker_file
    return KafkaChoice(file.read_text().strip()) if file.exists() else None
