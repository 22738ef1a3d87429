"""Loss limit of an account: when its profit and loss of a trading day is too low. Pure; money in rupees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Self

from shared.contracts.vocabulary import LossBasis
from shared.money import money_text

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountPnl:
    """Profit and loss of an account's trades before charges, at one instant.

    Attributes
    ----------
    realised:
        Of the fills of the trading day, against the entry prices of their trades.
    unrealised:
        Of the open quantities, at the last prices.
    carried:
        The part of both from trades entered before the trading day.
    unpriced:
        Open trades of symbols without a price yet; they count as even.
    unpriced_carried:
        Those of them entered before the trading day, as after a rename of a symbol.
    """

    realised: Decimal = ZERO
    unrealised: Decimal = ZERO
    carried: Decimal = ZERO
    unpriced: int = 0
    unpriced_carried: int = 0

    @property
    def total(self) -> Decimal:
        """Return realised and unrealised profit and loss together."""
        return self.realised + self.unrealised


@dataclass(frozen=True, slots=True)
class LossLimit:
    """Limit of an account, with the figures for judging it.

    Attributes
    ----------
    limit:
        Loss at which the account is held; None: no limit.
    opening:
        Profit and loss at the start of `day`; its loss counts from here.
    peak:
        Highest profit and loss since the opening.
    """

    user_broker_id: str
    limit: Decimal | None
    basis: LossBasis
    day: date
    opening: Decimal
    peak: Decimal
    pnl: AccountPnl

    @classmethod
    def first(cls, user_broker_id: str, limit: Decimal | None, basis: LossBasis, day: date, pnl: AccountPnl) -> Self:
        """Return a limit set for the first time; trades of earlier days count from now, the others from their entry."""
        return cls(user_broker_id, limit, basis, day, pnl.carried, pnl.carried, pnl).judged(day, pnl)

    def judged(self, day: date, pnl: AccountPnl) -> Self:
        """Return the limit with the newest profit and loss.

        A new day opens with the unrealised amount of the last look of the day before, so a gap over night counts. While
        a trade of an earlier day has no price, its profit and loss are unknown and the limit stays. Its earlier
        gains and losses must not look like a change of today.
        """
        if pnl.unpriced_carried:
            return self
        opening, peak = (self.opening, self.peak) if day == self.day else (self.pnl.unrealised, self.pnl.unrealised)
        return replace(self, day=day, opening=opening, peak=max(peak, pnl.total), pnl=pnl)

    def changed(self, limit: Decimal | None, basis: LossBasis) -> Self:
        """Return the limit with other terms; the day's opening and peak stay."""
        return replace(self, limit=limit, basis=basis)

    def restarted(self) -> Self:
        """Return the limit with its loss counted from now, as after the release of a hold."""
        return replace(self, opening=self.pnl.total, peak=self.pnl.total)

    @property
    def loss(self) -> Decimal:
        """Return the loss by the limit's basis; 0 in profit."""
        since = self.opening if self.basis is LossBasis.START_OF_DAY else self.peak
        return max(ZERO, since - self.pnl.total)

    @property
    def is_reached(self) -> bool:
        """Return whether the account lost as much as it may, or more."""
        return self.limit is not None and self.loss >= self.limit

    def facts(self) -> dict[str, str | None]:
        """Return the limit with the figures behind it, as kept in the audit log."""
        return {
            "loss_limit": None if self.limit is None else money_text(self.limit),
            "basis": self.basis.value,
            "loss": money_text(self.loss),
            "realised_pnl": money_text(self.pnl.realised),
            "unrealised_pnl": money_text(self.pnl.unrealised),
        }
