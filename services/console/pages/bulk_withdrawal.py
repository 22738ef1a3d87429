"""Page: withdraw every unsent exit of a filter, after a dry run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, carry_out
from services.console.api_client import Json
from services.console.bulk_changes import BulkFilter, BulkForm, positions, preview_bulk, skips
from services.console.context import ConsoleContext, Context, OperatorForm, Visitor
from services.console.sessions import Session
from services.console.wording import REASONS, plural, words
from shared.ids import new_id

PATH = "/exits/withdraw/bulk"
FORM = BulkForm(
    title="Withdraw exits",
    path=PATH,
    hint="Every unsent exit that meets all given conditions is cancelled. The next page shows which, before anything "
    "happens.",
    choice="exit_reason",
    label="Reason",
    options={reason: words(reason) for reason in REASONS},
)
router = APIRouter(prefix=PATH)
_Text = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True, kw_only=True)
class PendingFilter(BulkFilter):
    """Pending exits to withdraw; empty means any."""

    exit_reason: str = ""

    def body(self, reason: str, *, dry_run: bool) -> Json:
        """Return the body of the API's request."""
        return {**self.given(), "reason": reason, "dry_run": dry_run}


def pending_filter(symbol: _Text = "", exit_reason: _Text = "", user_broker_id: _Text = "") -> PendingFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return PendingFilter(symbol=symbol.strip().upper(), user_broker_id=user_broker_id.strip(), exit_reason=exit_reason)


Wanted = Annotated[PendingFilter, Depends(pending_filter)]


@router.get("")
async def preview(request: Request, context: Context, session: Visitor, wanted: Wanted) -> HTMLResponse:
    """Ask for the filter, or show the effect of withdrawing its exits."""
    return await preview_bulk(
        request, context, session, FORM, wanted, lambda: _bulk(context, session, wanted, str(new_id()))
    )


@router.post("")
async def bulk_withdraw(request: Request, context: Context, form: OperatorForm) -> Response:
    """Withdraw the exits; the number typed must still be the number of exits."""
    session, key = form.session, form["key"]
    wanted = pending_filter(form["symbol"], form["exit_reason"], form["user_broker_id"])

    async def act(reason: str) -> str:
        done = await context.exit_api.post(session.token, PATH, wanted.body(reason, dry_run=False), key=key)
        skipped = len(done["items"]) - done["withdrawn"]
        left = f" {plural(skipped, 'exit')} skipped." if skipped else ""
        return f"{plural(done['withdrawn'], 'exit')} withdrawn.{left}"

    return await carry_out(request, context, form, await _bulk(context, session, wanted, key), act)


async def _bulk(context: ConsoleContext, session: Session, wanted: PendingFilter, key: str) -> Action:
    """Return the change as a dry run of the API shows it."""
    found = await context.exit_api.post(session.token, PATH, wanted.body("preview", dry_run=True))
    count = found["withdrawn"]
    reason = words(wanted.exit_reason).lower() if wanted.exit_reason else ""
    return Action(
        title=f"Withdraw unsent exits: {wanted.named(reason)}",
        path=PATH,
        button=f"Withdraw {plural(count, 'exit')}",
        back="/exits",
        consequences=withdrawal_consequences(found),
        obstacle="" if count else _nothing(found),
        word=f"withdraw {count}",
        hidden={**asdict(wanted), "key": key},
    )


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


def _nothing(found: Json) -> str:
    if not found["items"]:
        return "No pending exit meets the filter."
    return " ".join(["No exit is withdrawn.", *skips(found["items"], "exit")])
