"""The reference page of all processes, from their catalogue and their rights on Kafka."""

from __future__ import annotations

from collections.abc import Iterable

from services.contracts.pages import page, table
from shared.kafka.rights import RIGHTS, Rights
from shared.runtime.catalogue import PROCESSES, WORKER_PORT, CataloguedProcess

_COLUMNS = ("process", "does", "scales by", "HTTP port", "databases", "reads topics", "writes topics", "secrets")


def process_page() -> str:
    """Return the page of all processes."""
    intro = (
        "`exitflow run NAME` runs one of these processes. Health, logs, `application_name` of PostgreSQL, `client.id`",
        "of Kafka and the metric `process_info` have its name. A worker serves its health and metrics if",
        f"`EXITFLOW_HTTP_PORT` is set; the containers set it to {WORKER_PORT}.",
    )
    return page("Processes", intro, table(_COLUMNS, (_row(each) for each in PROCESSES.values())))


def _row(process: CataloguedProcess) -> tuple[str, ...]:
    rights = RIGHTS.get(process.name, Rights())
    return (
        f"`{process.name}`",
        process.does,
        process.scales_by,
        str(process.api_port or ""),
        ", ".join(f"{schema} as `{role}`" for schema, role in process.databases.items()),
        _codes(rights.reads),
        _codes(rights.writes),
        ", ".join(each.name.lower().replace("_", " ") for each in process.secrets),
    )


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
