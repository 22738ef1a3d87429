"""Placing, changing and reading of triggers (GTT). Every method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.paper_broker.book_time import to_ms
from services.paper_broker.fault_effects import AnswerEffect
from services.paper_broker.faults import placement_under
from services.paper_broker.gtt_forms import refuse_met_legs
from services.paper_broker.gtts import Gtt, GttRequest, placed_gtt
from services.paper_broker.kite_errors import bad_input, no_such_trigger
from services.paper_broker.ledger import Books, Ledger
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class AcceptedTrigger:
    """Accepted trigger; after `drop_after_ms`, if set, the connection is cut instead of answered."""

    trigger_id: int
    drop_after_ms: int | None


class GttDesk:
    """Triggers of all accounts. Thread-safe."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def place(self, account: str, request: GttRequest) -> AcceptedTrigger:
        """Store a trigger, active at once.

        Raises
        ------
        KiteError
            The market has reached the trigger already, or a fault rule refused it. A rule's count is reduced.
        """
        now = self._now_ms()
        with self._ledger.write() as books:
            _refuse_met(books, request)
            effects = books.faults.take(account, request.symbol, AnswerEffect)
            placement = placement_under(effects, request.legs[0].quantity, now)
            gtt = placed_gtt(request, account, books.gtts.next_id(now), now)
            if placement.refusal is None:
                books.gtts.save(gtt)
        if placement.refusal is not None:
            raise placement.refusal.error()
        return AcceptedTrigger(gtt.trigger_id, placement.drop_after_ms)

    def modify(self, account: str, trigger_id: int, request: GttRequest) -> None:
        """Replace the terms of an active trigger.

        Raises
        ------
        KiteError
            The trigger does not exist or is not active, or the market has reached the new terms already.
        """
        now = self._now_ms()
        with self._ledger.write() as books:
            active = _active(books, account, trigger_id, now)
            _refuse_met(books, request)
            changed = placed_gtt(request, account, trigger_id, now)
            books.gtts.save(replace(changed, created_ms=active.created_ms, expires_ms=active.expires_ms))

    def delete(self, account: str, trigger_id: int) -> None:
        """Delete an active trigger; lists go on showing it for some days.

        Raises
        ------
        KiteError
            The trigger does not exist or is not active.
        """
        now = self._now_ms()
        with self._ledger.write() as books:
            books.gtts.save(replace(_active(books, account, trigger_id, now), status="deleted", updated_ms=now))

    def one(self, account: str, trigger_id: int) -> Gtt:
        """Return a trigger; raise KiteError if the account has none with this id."""
        with self._ledger.read() as books:
            return _found(books, account, trigger_id, self._now_ms())

    def all(self, account: str) -> list[Gtt]:
        """Return the account's active triggers and those ended lately, oldest first."""
        now = self._now_ms()
        with self._ledger.read() as books:
            return [_as_of(gtt, now) for gtt in books.gtts.of_account(account) if gtt.is_shown_at(now)]

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


def _found(books: Books, account: str, trigger_id: int, now: int) -> Gtt:
    gtt = books.gtts.find(account, trigger_id)
    if gtt is None:
        raise no_such_trigger()
    return _as_of(gtt, now)


def _active(books: Books, account: str, trigger_id: int, now: int) -> Gtt:
    gtt = _found(books, account, trigger_id, now)
    if gtt.status != "active":
        raise bad_input(f"Trigger cannot be changed as it is {gtt.status}.")
    return gtt


def _as_of(gtt: Gtt, now: int) -> Gtt:
    return replace(gtt, status=gtt.status_at(now))


def _refuse_met(books: Books, request: GttRequest) -> None:
    """Judge the legs by the broker's own last price; by the client's if the symbol never traded here."""
    refuse_met_legs(request.legs, books.market.last_units(request.symbol) or request.last_units)
