"""Page: one trade from its opening to its closure; find a trade; force its exit."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console.actions import Action, carry_out, show
from services.console.api_client import ApiFault
from services.console.charts import price_chart
from services.console.context import (
    Answer,
    ConsoleContext,
    Context,
    OperatorForm,
    SignInNeeded,
    Visitor,
    attempt,
    distinct_faults,
)
from services.console.pages.exits import ExitFilter
from services.console.rule_story import holds, last_price, rule_rows
from services.console.sessions import Session
from services.console.trade_story import consequences, nearest_level, obstacle, story, with_detections
from shared.contracts.trades import SYMBOL_PATTERN
from shared.ids import new_id

router = APIRouter()

_IS_SYMBOL = re.compile(SYMBOL_PATTERN)
MOST_EXITS = 50
MOST_STOPS = 50


@router.get("/find")
async def find(
    request: Request,
    context: Context,
    session: Visitor,
    id: Annotated[str, Query(max_length=100)] = "",  # noqa: A002
) -> Response:
    """Lead to the trade with this id, or of the exit or order with it; or to the exits of a symbol."""
    wanted = id.strip()
    if _IS_SYMBOL.match(wanted.upper()):
        return RedirectResponse(ExitFilter("all", symbol=wanted.upper()).url(), 303)
    trade_id, fault = await _trade_of(context, session, wanted) if wanted else (None, None)
    if trade_id is not None:
        return RedirectResponse(f"/trades/{trade_id}", 303)
    message = f"{fault}" if fault else f"No trade, exit or order has the id {wanted}."
    advice = "Paste a whole id, the broker's id of an order or its tag, or a symbol such as NSE:INFY."
    return context.pages.page(request, session, "error.html", status=404, message=message, advice=advice)


async def _trade_of(context: ConsoleContext, session: Session, wanted: str) -> tuple[str | None, ApiFault | None]:
    """Return the trade with an id, or the one whose exit or order has it."""
    try:
        found = await attempt(context.exit_api, session.token, f"/exits/{UUID(wanted)}")
        return str(UUID(wanted)) if found.body is None else found.body["trade_id"], None
    except ValueError:
        pass  # no id of ours
    exits, stops = await asyncio.gather(
        attempt(context.exit_api, session.token, "/exits", order_id=wanted, limit=1),
        attempt(context.exit_api, session.token, "/protective-stops", order_id=wanted, limit=1),
    )
    trades = [each["trade_id"] for each in exits.items() + stops.items()]
    return next(iter(trades), None), exits.fault or stops.fault


@router.get("/trades/{trade_id}")
async def trade(request: Request, trade_id: UUID, context: Context, session: Visitor) -> Response:
    """Show the steps of the trade, its prices, its protective stop, its exits with their gates."""
    found = await attempt(context.trade_api, session.token, f"/trades/{trade_id}")
    if found.fault is not None and not found.fault.is_down:
        raise found.fault  # now: the first part of the page is an answer of status 200
    ask = partial(_answers, context, session, trade_id, found)
    return await context.pages.arriving(request, session, "trade.html", ask, trade_id=trade_id, trade=found.body)


async def _answers(context: ConsoleContext, session: Session, trade_id: UUID, found: Answer) -> dict[str, Any]:
    """Return the values of the page besides the trade, from the answers of the APIs."""
    timeline, exits, why = await asyncio.gather(
        attempt(context.trade_api, session.token, f"/trades/{trade_id}/timeline"),
        attempt(context.exit_api, session.token, "/exits", trade_id=str(trade_id), limit=MOST_EXITS),
        attempt(context.exit_api, session.token, f"/exits/why/{trade_id}"),
    )
    stops = await _stops(context, session, trade_id, why)
    body, items = found.body, with_detections(exits.items(), why.body)
    is_open = body is not None and body["status"] == "OPEN"
    price = last_price(why.body) if is_open else None
    return {
        "exits": items,
        "trace_url": context.trace_url,
        "faults": distinct_faults(found, exits, stops, why),
        "price": price,
        "nearest": "" if body is None or price is None else nearest_level(body, price),
        "steps": [] if body is None else story(body, timeline.items(), items, stops.items()),
        "stop": next(iter(stops.items()), None),
        "rules": rule_rows(why.body, items) if is_open and why.body is not None else None,
        "holds": holds(why.body, items) if is_open and why.body is not None else [],
        "chart": None if body is None else price_chart(body, items, context.clock.now(), price),
    }


@router.get("/trades/{trade_id}/exit")
async def preview(request: Request, trade_id: UUID, context: Context, session: Visitor) -> HTMLResponse:
    """Show the effect of a manual exit of the trade, and ask for the reason."""
    return show(request, context, session, await _force_exit(context, session, trade_id, key=str(new_id())))


@router.post("/trades/{trade_id}/exit")
async def force(request: Request, trade_id: UUID, context: Context, form: OperatorForm) -> Response:
    """Exit the trade now; a form sent twice makes one exit."""
    session, key = form.session, form["key"] or str(new_id())

    async def act(reason: str) -> str:
        body = {"trade_id": str(trade_id), "reason_note": reason}
        intent = await context.exit_api.post(session.token, "/exits", body, key=key)
        return f"Manual exit of {intent['quantity']:,} {intent['symbol']} accepted."

    action = await _force_exit(context, session, trade_id, key=key)
    # The API answers a repeated key with the first exit, so only it decides about a form sent twice.
    return await carry_out(request, context, form, replace(action, obstacle=""), act)


async def _force_exit(context: ConsoleContext, session: Session, trade_id: UUID, *, key: str) -> Action:
    found, exits, rollout = await asyncio.gather(
        attempt(context.trade_api, session.token, f"/trades/{trade_id}"),
        attempt(context.exit_api, session.token, "/exits", trade_id=str(trade_id), limit=MOST_EXITS),
        attempt(context.exit_api, session.token, "/rollout"),
    )
    if found.body is None:
        raise found.fault or SignInNeeded("Sign in to go on.")
    trade = found.body
    broker = await attempt(context.exit_api, session.token, f"/brokers/{trade['user_broker_id']}")
    problem = "" if exits.fault is None else f"{exits.fault} {exits.fault.advice}"
    return Action(
        title=f"Force exit of {trade['symbol']}",
        path=f"/trades/{trade_id}/exit",
        button=f"Force exit of {trade['open_quantity']:,} {trade['symbol']}",
        back=f"/trades/{trade_id}",
        consequences=consequences(trade, exits.items(), rollout.body, broker.body),
        obstacle=problem or obstacle(trade, exits.items()),
        hidden={"key": key},
    )


async def _stops(context: ConsoleContext, session: Session, trade_id: UUID, why: Answer) -> Answer:
    """Return the protective stops of a trade, newest first; do not ask if its explanation says that it had none."""
    if why.body is not None and why.body["protective_stop"] is None:
        return Answer({"items": []})
    return await attempt(
        context.exit_api, session.token, "/protective-stops", trade_ids=str(trade_id), limit=MOST_STOPS
    )
