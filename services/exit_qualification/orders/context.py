"""OrderContext: what all work on orders shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from services.exit_qualification.orders.asked_exits import AskedFor, need_not_ask
from services.exit_qualification.orders.brokers.port import Brokers
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import OrderTerms
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class OrderContext:
    """Common dependencies of senders, the reconciler and the other loops. Many threads can share it.

    Attributes
    ----------
    open_look:
        Opens a connection for statements that are each a transaction.
    skipped:
        Where work on a trade is noted as put off, because another transaction holds a row.
    asked:
        Returns the exits that trade management has asked for.
    """

    open_unit: Callable[[], UnitOfWork]
    open_look: Callable[[], AbstractContextManager[Connection]]
    brokers: Brokers
    terms: OrderTerms
    clock: Clock
    skipped: SkippedTrades
    asked: AskedFor = need_not_ask
