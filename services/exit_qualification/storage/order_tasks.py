"""Tasks of the order process: one statement names its loops with anything to do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from services.exit_qualification.storage.market_quotes import ANY_WANTED
from services.exit_qualification.storage.order_queues import ANY_UNSENT
from services.exit_qualification.storage.protective_stops import ANY_STOP
from shared.postgres.hot_path import fetch

TASKS = text(f"""
-- order_tasks.read
SELECT {ANY_UNSENT},
       EXISTS (SELECT FROM account_loss_limits WHERE loss_limit IS NOT NULL)
         OR EXISTS (SELECT FROM user_brokers WHERE entries_held_since IS NOT NULL),
       {ANY_STOP},
       {ANY_WANTED}
""")  # noqa: S608  # the conditions of all


@dataclass(frozen=True, slots=True)
class OrderTasks:
    """Answers to whether there is something to do.

    Attributes
    ----------
    unsent:
        There is an unsent exit.
    losses:
        An account has a loss limit, or its entries are held.
    stops:
        A broker holds a stop, or should hold one.
    quotes:
        Ticks wait for a quote.
    """

    unsent: bool
    losses: bool
    stops: bool
    quotes: bool


def read_tasks(connection: Connection) -> OrderTasks:
    """Return the present tasks."""
    (row,) = fetch(connection, TASKS, {})
    return OrderTasks(*row)
