"""Changes of one exit: resolve an exit without its broker, withdraw an unsent exit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, Choice, TextField, carry_out, show
from services.console.api_client import Json
from services.console.context import ConsoleContext, Context, OperatorForm, Visitor
from services.console.sessions import Session
from services.console.wording import DECISIONS, words
from shared.clock import TRADING_ZONE
from shared.ids import new_id
from shared.wording import plural

router = APIRouter(prefix="/exits/{intent_id}")

Resolution = Literal["filled", "failed", "not_placed"]
RESOLUTIONS: tuple[Resolution, ...] = ("filled", "failed", "not_placed")
FILL_FORM = "broker's trade id, quantity, price, date and time: T1 100 989.50 2026-01-13 10:30:11"
SELLS_TWICE = "If the order is live at the broker after all, the shares are traded twice."
_AnyResolution = Annotated[Resolution, Query()]


@router.get("/resolve")
async def preview_resolve(
    request: Request, intent_id: UUID, context: Context, session: Visitor, resolution: _AnyResolution = "filled"
) -> HTMLResponse:
    """Show the effect of the outcome, and ask for the fills, the reason and the typed outcome."""
    fields = {"resolution": resolution, "key": str(new_id())}
    return show(request, context, session, await _resolve(context, session, intent_id, fields))


@router.post("/resolve")
async def resolve(request: Request, intent_id: UUID, context: Context, form: OperatorForm) -> Response:
    """Record the outcome of an exit after the loss of its broker."""
    session = form.session
    fields = {name: form[name] for name in ("resolution", "key", "broker_order_id", "fills")}

    async def act(reason: str) -> str:
        body = {
            "resolution": fields["resolution"],
            "reason": reason,
            "broker_order_id": fields["broker_order_id"] or None,
            "fills": [fill_of(line) for line in fields["fills"].splitlines() if line.strip()],
        }
        done = await context.exit_api.post(session.token, f"/exits/{intent_id}/resolve", body, key=fields["key"])
        return f"The exit of {done['symbol']} is {words(done['status']).lower()}, {done['filled_quantity']:,} filled."

    action = await _resolve(context, session, intent_id, fields)
    # The API answers a repeated key with the first decision, so only it decides about a form sent twice.
    return await carry_out(request, context, form, replace(action, obstacle=""), act)


@router.get("/withdraw")
async def preview_withdraw(request: Request, intent_id: UUID, context: Context, session: Visitor) -> HTMLResponse:
    """Show the effect of withdrawing the exit."""
    return show(request, context, session, await _withdraw(context, session, intent_id, str(new_id())))


@router.post("/withdraw")
async def withdraw(request: Request, intent_id: UUID, context: Context, form: OperatorForm) -> Response:
    """Cancel an unsent exit."""
    session, key = form.session, form["key"]

    async def act(reason: str) -> str:
        path = f"/exits/{intent_id}/withdraw"
        done = await context.exit_api.post(session.token, path, {"reason": reason}, key=key)
        return f"The {words(done['exit_reason']).lower()} exit of {done['symbol']} is withdrawn."

    action = await _withdraw(context, session, intent_id, key)
    return await carry_out(request, context, form, replace(action, obstacle=""), act)


def fill_of(line: str) -> Json:
    """Return the fill of a line; a time without a zone is of Asia/Kolkata.

    Raises
    ------
    ValueError
        The line is not of the form `FILL_FORM`.
    """
    trade_id, quantity, price, at = line.split(maxsplit=3)
    if ":" not in at:
        raise ValueError(f"{at} has no time of day")
    time = datetime.fromisoformat(at)
    if time.tzinfo is None:
        time = time.replace(tzinfo=TRADING_ZONE)
    try:
        rupees = Decimal(price)
    except InvalidOperation as error:
        raise ValueError(f"{price} is not a price") from error
    return {
        "broker_trade_id": trade_id,
        "quantity": int(quantity),
        "price": str(rupees),
        "filled_at": time.isoformat(),
    }


def _check_fills(text: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                fill_of(line)
        except ValueError:
            return f"Line {number} is not a fill. Write {FILL_FORM}."
    return ""


async def _resolve(context: ConsoleContext, session: Session, intent_id: UUID, form: Mapping[str, str]) -> Action:
    intent = await context.exit_api.get(session.token, f"/exits/{intent_id}")
    wanted: Resolution = next((each for each in RESOLUTIONS if each == form["resolution"]), "filled")
    path = f"/exits/{intent_id}/resolve"
    return Action(
        title=f"Resolve the {words(intent['exit_reason']).lower()} exit of {intent['symbol']}",
        path=path,
        button=f"Record as {words(wanted).lower()}",
        back=f"/trades/{intent['trade_id']}",
        consequences=resolve_consequences(intent, wanted),
        obstacle=_resolve_obstacle(intent, wanted),
        word=words(wanted).lower(),
        hidden={"resolution": wanted, "key": form["key"]},
        fields=_fields(intent, form) if wanted == "filled" else (),
        choices=[Choice(words(each), f"{path}?resolution={each}", each == wanted) for each in RESOLUTIONS],
    )


def _fields(intent: Json, form: Mapping[str, str]) -> tuple[TextField, ...]:
    order_id = form.get("broker_order_id") or intent["broker_order_id"] or ""
    return (
        TextField("broker_order_id", "The broker's id of the order", order_id, is_line=True),
        TextField("fills", f"Fills, one a line: {FILL_FORM}", form.get("fills", ""), check=_check_fills),
    )


def resolve_consequences(intent: Json, resolution: Resolution) -> list[str]:
    """Return the effects of recording the outcome, one sentence each."""
    order = f"the order for {intent['quantity']:,} {intent['symbol']} on account {intent['user_broker_id']}"
    known = intent["filled_quantity"]
    if resolution == "filled":
        already = f" {plural(known, 'share')} of it are recorded already." if known else ""
        return [
            f"Records the fills of {order}.{already}",
            "Trade management closes this quantity at these prices. This cannot be undone.",
            f"With fewer than {intent['quantity']:,} shares the exit ends as cancelled, and the rest can exit again.",
        ]
    ending = "as refused by the broker" if resolution == "failed" else "as never placed"
    return [
        f"Ends the exit: {order} is recorded {ending}. The broker is not asked.",
        "The trade can exit again: by its rules, or when you force an exit.",
        SELLS_TWICE,
    ]


def _resolve_obstacle(intent: Json, resolution: Resolution) -> str:
    status = intent["status"]
    if status == "SUBMITTING":
        return "The exit is being sent. It becomes unknown when its sender's claim runs out; resolve it then."
    if DECISIONS.get(status) == "withdraw":
        return "The exit was not sent. Withdraw it instead."
    if DECISIONS.get(status) != "resolve":
        return f"The exit has ended as {words(status).lower()}."
    if resolution == "not_placed" and intent["broker_order_id"]:
        return f"The broker has the order as {intent['broker_order_id']}; it was placed."
    return ""


async def _withdraw(context: ConsoleContext, session: Session, intent_id: UUID, key: str) -> Action:
    intent = await context.exit_api.get(session.token, f"/exits/{intent_id}")
    can_be = DECISIONS.get(intent["status"]) == "withdraw"
    reason = words(intent["exit_reason"]).lower()
    return Action(
        title=f"Withdraw the {reason} exit of {intent['symbol']}",
        path=f"/exits/{intent_id}/withdraw",
        button="Withdraw the exit",
        back=f"/trades/{intent['trade_id']}",
        consequences=[
            f"Cancels the {reason} exit of {intent['quantity']:,} {intent['symbol']} "
            f"on account {intent['user_broker_id']}. No order was sent.",
            "The trade stays open. A rule of its plan may exit it again after its cooldown.",
        ],
        obstacle="" if can_be else f"The exit is {words(intent['status']).lower()}; only an unsent one is withdrawn.",
        hidden={"key": key},
    )
