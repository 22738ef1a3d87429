"""Fill reports before their booking: what is asked about them, and which are booked, wait or are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.trade_management.domain.fill_report import FillReport, contradiction
from services.trade_management.domain.trade import Trade
from services.trade_management.storage.corporate_actions import CorporateActionRepository
from services.trade_management.storage.trades import TradeRepository
from services.trade_management.storage.waiting_fills import WaitingFillRepository
from shared.outbox import inbox
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import Answer

NO_SYMBOLS: Final[Set[str]] = frozenset()

CONSUMER = "trade-fills"
"""Name of this consumer in the inbox."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rejection of the `nth` report, from 0, with its reason; it becomes a dead letter."""

    nth: int
    code: str
    reason: str


def judged_reports(
    uow: UnitOfWork, trades: Mapping[UUID, Trade], reports: Sequence[FillReport], waiting: Set[int]
) -> tuple[list[FillReport], list[Refusal]]:
    """Return the reports to book and the refused ones, without those that wait."""
    found = [(report, trades.get(report.trade_id)) for report in reports]  # one look-up each: hashing an id takes long
    symbols = _symbols_of_renamed(uow, found)
    sound, refusals = list[FillReport](), list[Refusal]()
    for nth, (report, trade) in enumerate(found):
        if nth in waiting:
            continue
        refusal = _refused(nth, report, trade, symbols)
        if refusal is None:
            sound.append(report)
        else:
            refusals.append(refusal)
    return sound, refusals


@dataclass(frozen=True, slots=True)
class AskedReports:
    """Facts asked about reports.

    Attributes
    ----------
    wanted, trades, queued:
        Their trades, those of them locked now, and those with earlier reports waiting.
    fresh:
        The events new to the inbox; it knows all of them from now on.
    """

    wanted: Set[UUID]
    trades: Answer[dict[UUID, Trade]]
    queued: Answer[set[UUID]]
    fresh: Answer[set[UUID]]


def ask_about(uow: UnitOfWork, reports: Sequence[FillReport]) -> AskedReports:
    """Lock the trades, then ask the rest: a transaction removing waiting reports holds the trade's row."""
    wanted = {report.trade_id for report in reports}
    return AskedReports(
        wanted,
        TradeRepository(uow.connection).ask_lock(list(wanted)),
        WaitingFillRepository(uow.connection).ask_trades_among(list(wanted)),
        inbox.ask_accept(uow.connection, CONSUMER, [report.event_id for report in reports]),
    )


def held_up(uow: UnitOfWork, trades: Mapping[UUID, Trade], asked: AskedReports, *, queued: bool) -> set[UUID]:
    """Return the wanted trades locked by others or with earlier reports waiting."""
    others = asked.wanted - trades.keys() if len(trades) < len(asked.wanted) else ()
    locked = TradeRepository(uow.connection).existing(others)
    return locked if queued else locked | (asked.queued.get() & trades.keys())


def new_ones(
    uow: UnitOfWork, reports: Sequence[FillReport], sound: Sequence[FillReport], fresh: Set[UUID]
) -> Sequence[FillReport]:
    """Return the sound reports new to the inbox, and let it forget new ones not booked now."""
    if len(fresh) == len(sound) == len(reports):
        return reports
    inbox.forget(uow.connection, CONSUMER, fresh - {report.event_id for report in sound})
    return [report for report in sound if report.event_id in fresh]


def _symbols_of_renamed(uow: UnitOfWork, found: Sequence[tuple[FillReport, Trade | None]]) -> Mapping[UUID, Set[str]]:
    """Return all symbols of the trades with reports under another symbol than theirs."""
    renamed = {report.trade_id for report, trade in found if trade is not None and trade.symbol != report.symbol}
    return CorporateActionRepository(uow.connection).symbols_of(renamed)


def _refused(nth: int, report: FillReport, trade: Trade | None, symbols: Mapping[UUID, Set[str]]) -> Refusal | None:
    if trade is None:
        return Refusal(nth, "unknown_trade", f"trade {report.trade_id} does not exist")
    reason = contradiction(report, trade, symbols.get(report.trade_id, NO_SYMBOLS) if symbols else NO_SYMBOLS)
    return Refusal(nth, "contradicts_trade", reason) if reason else None
