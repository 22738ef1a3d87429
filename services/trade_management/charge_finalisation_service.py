"""Final charges: contract notes replace the estimates of closed trades."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from services.trade_management.domain.charges import Lines, total
from services.trade_management.domain.trade import StoredTrade
from services.trade_management.storage.final_charges import FinalChargeRepository, LegKey
from services.trade_management.storage.trades import TradeRepository
from services.trade_management.trade_events import charges_changed
from shared.clock import Clock
from shared.contracts.charges import ContractNoteLine
from shared.contracts.vocabulary import Leg, TradeStatus
from shared.errors import InvalidInput
from shared.money import money_text
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit


class InvalidContractNote(InvalidInput):
    """Contract note with lines of no closed trade or contradicting an earlier note."""

    code = "invalid_contract_note"


@dataclass(frozen=True, slots=True)
class FinalisedLeg:
    """Result for one leg of a trade; `changed` is False if its charges were final with the same lines."""

    trade_id: UUID
    leg: Leg
    charges: Decimal
    changed: bool


class ChargeFinalisationService:
    """Makes charges final. Uses the caller's unit of work and never commits it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def finalise(
        self, uow: UnitOfWork, note: Sequence[ContractNoteLine], act: Act, *, replace: bool, dry_run: bool
    ) -> list[FinalisedLeg]:
        """Store the charges of the legs in a note, with audit rows and events; a note already stored changes nothing.

        A leg in the note is given whole: a charge without a line is zero.

        Parameters
        ----------
        replace:
            Let the note replace other charges of an earlier note.
        dry_run:
            Only check the note and return its changes.

        Raises
        ------
        InvalidContractNote
            `errors` names each wrong line.
        """
        legs = _by_leg(note)
        trades = TradeRepository(uow.connection).lock_rows({trade_id for trade_id, _ in legs})
        repository = FinalChargeRepository(uow.connection)
        known = repository.of_trades(trades)
        _check(note, trades, {} if replace else _other(known, legs))
        changed = {key: lines for key, lines in legs.items() if known.get(key) != lines}
        if changed and not dry_run:
            repository.add(changed)
            self._store(uow, {trade_id: trades[trade_id] for trade_id, _ in changed}, known | changed, act)
        return [FinalisedLeg(*key, total([lines]), key in changed) for key, lines in legs.items()]

    def _store(
        self, uow: UnitOfWork, trades: Mapping[UUID, StoredTrade], final: Mapping[LegKey, Lines], act: Act
    ) -> None:
        estimates = FinalChargeRepository(uow.connection).estimates(trades)
        repository = TradeRepository(uow.connection)
        repository.change_charges({trade_id: _charges(trade, final, estimates) for trade_id, trade in trades.items()})
        now = self._clock.now()
        for trade_id, after in repository.of_ids(trades).items():
            before = _facts(trades[trade_id])
            audit(uow.connection, act, "trade.charges", str(trade_id), before=before, after=_facts(after))
            uow.emit(charges_changed(after, now))


def _by_leg(note: Sequence[ContractNoteLine]) -> dict[LegKey, Lines]:
    """Return the lines of each leg, without those of zero.

    Raises
    ------
    InvalidContractNote
        A charge of a leg has two lines.
    """
    legs: dict[LegKey, Lines] = defaultdict(dict)
    twice = []
    for each in note:
        lines = legs[each.trade_id, each.leg]
        if each.charge in lines:
            twice.append((each.line, f"{each.charge} of this leg has a line already"))
        lines[each.charge] = each.amount
    _refuse(twice)
    return {key: {charge: amount for charge, amount in lines.items() if amount} for key, lines in legs.items()}


def _other(known: Mapping[LegKey, Lines], legs: Mapping[LegKey, Lines]) -> dict[LegKey, Lines]:
    return {key: lines for key, lines in known.items() if key in legs and legs[key] != lines}


def _check(note: Sequence[ContractNoteLine], trades: Mapping[UUID, StoredTrade], other: Mapping[LegKey, Lines]) -> None:
    def wrong() -> Iterable[tuple[int, str]]:
        for each in note:
            trade = trades.get(each.trade_id)
            if trade is None:
                yield each.line, f"trade {each.trade_id} does not exist"
            elif trade.status is TradeStatus.OPEN:
                yield each.line, f"trade {each.trade_id} is open; its charges can be final once it is closed"
            elif (each.trade_id, each.leg) in other:
                stored = money_text(total([other[each.trade_id, each.leg]]))
                yield each.line, f"the {each.leg} has other final charges, {stored}; set replace to change them"

    _refuse(wrong())


def _refuse(wrong: Iterable[tuple[int, str]]) -> None:
    errors = [{"field": f"line {line}", "message": message} for line, message in wrong]
    if errors:
        raise InvalidContractNote("the contract note is not valid; nothing was stored", errors=errors)


def _charges(
    trade: StoredTrade, final: Mapping[LegKey, Lines], estimates: Mapping[LegKey, Decimal]
) -> tuple[Decimal | None, bool]:
    """Return a trade's charges, and whether all are final; a leg without final ones keeps its estimate."""
    keys = [(trade.trade_id, leg) for leg in Leg]
    if all(key in final for key in keys):
        return total(final[key] for key in keys), True
    if trade.charges is None:
        return None, False
    amounts = (total([final[key]]) if key in final else estimates.get(key, Decimal(0)) for key in keys)
    return sum(amounts, Decimal(0)), False


def _facts(trade: StoredTrade) -> dict[str, str | None]:
    return {
        "charges": None if trade.charges is None else money_text(trade.charges),
        "charges_status": trade.charges_status,
    }
