"""Exits of a worker's transaction: their facts are asked for together; a trade's decisions are written in turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.exit_book import AskedFacts
from services.exit_qualification.signal_management_service import DetectedExit, SignalManagementService
from services.exit_qualification.storage.new_exits import is_slot_taken
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.ticks.evaluation import in_rounds
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import Answer
from shared.postgres.row_locks import is_lock_timeout


@dataclass(frozen=True, slots=True)
class AskedExits:
    """Switches, the locks on free trades, and the facts of these trades.

    Attributes
    ----------
    locking:
        The free trades, and those held by another transaction.
    """

    switches: Answer[Switches]
    locking: Answer[tuple[dict[UUID, TradeProjection], set[UUID]]]
    facts: AskedFacts

    @classmethod
    def of(
        cls,
        connection: Connection,
        switches: Answer[Switches],
        trade_ids: Collection[UUID],
        symbols: Collection[str],
    ) -> Self:
        """Ask, within a pipeline."""
        return cls(
            switches,
            OpenTradeRepository(connection).ask_free(trade_ids),
            AskedFacts.of(connection, trade_ids, symbols),
        )


def must_wait(error: DBAPIError) -> bool:
    """Return whether the work of a failed transaction must wait: a row was locked, or a slot was taken meanwhile."""
    return is_lock_timeout(error) or is_slot_taken(error)


def write_exits(
    signals: SignalManagementService,
    uow: UnitOfWork,
    detected: Sequence[ExitCandidates],
    switches: Switches,
    known: Mapping[UUID, TradeProjection],
    facts: AskedFacts | None = None,
    *,
    are_last_rows: bool = False,
) -> list[DetectedExit]:
    """Write the exits of locked trades: the first decision of each, then the second of those with one, and so on.

    An intent about to be sent is not superseded by a later decision. Only the first ones are made by the given facts.
    See `on_exits_detected` for `are_last_rows`.
    """
    exits: list[DetectedExit] = []
    rounds = list(in_rounds(detected))
    for entries in rounds:
        is_end = are_last_rows and entries is rounds[-1]
        exits += signals.on_exits_detected(uow, entries, switches, known, facts, are_last_rows=is_end)
        facts = None
    return exits
