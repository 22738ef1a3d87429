"""Page: withdraw every unsent exit of a filter, after a dry run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from services.console.api_client import Json
from services.console.bulk_changes import BulkChange, BulkFilter, BulkForm, FilterText, positions, skips
from services.console.context import Context, OperatorForm, Visitor
from services.console.wording import REASONS, words
from shared.wording import plural

router = APIRouter(prefix="/exits/withdraw/bulk")


@dataclass(frozen=True, kw_only=True)
class PendingFilter(BulkFilter):
    """Pending exits to withdraw; empty means any."""

    exit_reason: str = ""

    @property
    def title(self) -> str:
        """Return the title of the change."""
        reason = words(self.exit_reason).lower() if self.exit_reason else ""
        return f"Withdraw unsent exits: {self.named(reason)}"


def pending_filter(
    symbol: FilterText = "", exit_reason: FilterText = "", user_broker_id: FilterText = ""
) -> PendingFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return PendingFilter(symbol=symbol.strip().upper(), user_broker_id=user_broker_id.strip(), exit_reason=exit_reason)


@router.get("")
async def preview(
    request: Request, context: Context, session: Visitor, wanted: Annotated[PendingFilter, Depends(pending_filter)]
) -> HTMLResponse:
    """Ask for the filter, or show the effect of withdrawing its exits."""
    return await WITHDRAW_EXITS.preview(request, context, session, wanted)


@router.post("")
async def bulk_withdraw(request: Request, context: Context, form: OperatorForm) -> Response:
    """Withdraw the exits."""
    wanted = pending_filter(form["symbol"], form["exit_reason"], form["user_broker_id"])
    return await WITHDRAW_EXITS.carry_out(request, context, form, wanted)


def withdrawal_consequences(found: Json) -> list[str]:
    """Return the effects of a dry run's withdrawals, one sentence each."""
    exits = [item for item in found["items"] if item["skipped"] is None]
    reasons = Counter(words(item["exit_reason"]).lower() for item in exits)
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return [
        f"Cancels {plural(len(exits), 'exit')}: {told}. No order was sent for them.",
        *positions(exits, lambda _: "Keeps open"),
        *skips(found["items"], "exit"),
        "A rule of a plan may exit its trade again after its cooldown.",
    ]


WITHDRAW_EXITS = BulkChange(
    form=BulkForm(
        title="Withdraw exits",
        path="/exits/withdraw/bulk",
        hint="Every unsent exit that meets all given conditions is cancelled. The next page shows which, before "
        "anything happens.",
        choice="exit_reason",
        label="Reason",
        options={reason: words(reason) for reason in REASONS},
    ),
    verb="Withdraw",
    noun="exit",
    counted="withdrawn",
    done="{} withdrawn.",
    none_found="No pending exit meets the filter.",
    none_changed="No exit is withdrawn.",
    consequences=withdrawal_consequences,
)
