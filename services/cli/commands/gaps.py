"""`exitflow gaps`: list and acknowledge records missed by consumers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.database_urls import service_databases
from services.cli.support.output import show_json, show_table
from shared.clock import rfc3339
from shared.kafka.consumer_gaps import ConsumerGaps
from shared.postgres.audit import Act
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT

app = new_app("List and acknowledge records missed by a consumer.")

_COLUMNS = ("gap_id", "consumer", "kind", "topic", "partition", "first_offset", "missed", "noticed_at")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `gaps` to a panel of the help."""
    root.add_typer(app, name="gaps", rich_help_panel=panel)


class Consumer(StrEnum):
    """Consumers with gap records."""

    EXIT_TICKS = "exit-ticks"
    TRADE_FILLS = "trade-fills"


_SCHEMAS = {Consumer.EXIT_TICKS: EXIT_QUALIFICATION, Consumer.TRADE_FILLS: TRADE_MANAGEMENT}


@app.callback()
def group() -> None:
    """Show and acknowledge gaps."""


@app.command("list", epilog=examples("gaps list", "gaps list --json"))
def list_gaps(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every unacknowledged gap; `missed` is a lower bound where a topic was replaced."""
    found = []
    for consumer in Consumer:
        with _database(consumer, data_dir) as database, database.connect() as connection:
            found += [
                {
                    "gap_id": each.gap_id,
                    "consumer": consumer.value,
                    "kind": each.gap.kind.value,
                    "topic": each.gap.topic,
                    "partition": each.gap.partition,
                    "first_offset": each.gap.first_offset,
                    "missed": each.gap.missed,
                    "noticed_at": rfc3339(each.noticed_at),
                }
                for each in ConsumerGaps(connection, consumer.value).open()
            ]
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, ([gap[column] for column in _COLUMNS] for gap in found))


@app.command(
    "acknowledge",
    epilog=examples(
        'gaps acknowledge trade-fills --reason "reconciled"', 'gaps acknowledge exit-ticks --gap 7 --reason "…"'
    ),
)
def acknowledge(
    consumer: Annotated[Consumer, typer.Argument(help="Consumer with the gaps.", case_sensitive=False)],
    reason: Annotated[str, typer.Option(help="Action taken about the missed records; audited.")],
    gap: Annotated[list[int] | None, typer.Option(help="Only this gap; may be repeated.", show_default="all")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Close gaps after the missed records were published again or found irrelevant; the consumer is ready again."""
    with _database(consumer, data_dir) as database, database.begin() as connection:
        closed = ConsumerGaps(connection, consumer.value).acknowledge(Act("cli", reason), gap)
    if as_json:
        show_json({"acknowledged": closed})
    else:
        print(f"acknowledged {len(closed)} gaps of {consumer.value}")


@contextmanager
def _database(consumer: Consumer, data_dir: Path | None) -> Iterator[Engine]:
    schema = _SCHEMAS[consumer]
    database = open_engine(service_databases(data_dir)[schema], schema, application="exitflow-gaps", limits=TOOLS)
    try:
        yield database
    finally:
        database.dispose()
