"""Page: open trades, and the profit and loss of a day."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.api_client import Json
from services.console.charts import Bar, bars
from services.console.context import Answer, ConsoleContext, Context, Visitor, attempt, distinct_faults
from services.console.last_prices import last_prices
from services.console.sessions import Session
from services.console.trade_story import levels_of, nearest_level
from shared.clock import trading_day

router = APIRouter(prefix="/book")

PAGE = 25
GROUPS = (("symbol", "By symbol"), ("user_broker_id", "By account"), ("exit_reason", "By reason"))


@dataclass(frozen=True)
class PnlTable:
    """Totals of the groups of one kind, each with its bar."""

    title: str
    rows: list[tuple[Json, Bar]]


@dataclass(frozen=True)
class BookView:
    """What the page shows: the totals of a day, and open trades of a symbol; empty means any.

    Attributes
    ----------
    given_day:
        The day asked for; None for today.
    """

    given_day: date | None
    today: date
    symbol: str = ""
    cursor: str = ""

    @property
    def day(self) -> date:
        """Return the day of the totals."""
        return self.given_day or self.today

    @property
    def before(self) -> date:
        """Return the day before."""
        return self.day - timedelta(days=1)

    @property
    def after(self) -> date:
        """Return the day after."""
        return self.day + timedelta(days=1)

    def url(self, path: str = "/book", **changes: str) -> str:
        """Return the URL of this view, or of one that differs by `changes`."""
        day = "" if self.given_day is None else str(self.given_day)
        values = {"day": day, "symbol": self.symbol, "cursor": self.cursor, **changes}
        given = {name: value for name, value in values.items() if value}
        return f"{path}?{urlencode(given)}" if given else path


def book_view(
    context: Context,
    day: date | None = None,
    symbol: Annotated[str, Query(max_length=100)] = "",
    cursor: Annotated[str, Query(max_length=10_000)] = "",
) -> BookView:
    """Return the view in a request; symbols are written in capitals."""
    return BookView(day, trading_day(context.clock.now()), symbol.strip().upper(), cursor)


Wanted = Annotated[BookView, Depends(book_view)]


@router.get("")
async def book(request: Request, context: Context, session: Visitor, wanted: Wanted) -> Response:
    """Show the day's profit and loss and a page of open trades, newest first."""
    return await context.pages.arriving(
        request, session, "book.html", partial(_answers, context, session, wanted), wanted=wanted
    )


async def _answers(context: ConsoleContext, session: Session, wanted: BookView) -> dict[str, Any]:
    """Return the values of the page, from the answers of the APIs."""
    (trades, stops, found), totals = await asyncio.gather(
        _open_trades_with_stops(context, session, wanted), _totals(context, session, wanted.day)
    )
    return {
        "totals": totals.body,
        "tables": [_table(kind, title, totals.body or {}) for kind, title in GROUPS],
        "trades": trades,
        "levels": {trade["trade_id"]: dict(levels_of(trade["exit_plan"])) for trade in trades.items()},
        "stops": {stop["trade_id"]: stop for stop in stops.items()},
        "distances": found,
        "faults": distinct_faults(trades, stops, totals),
    }


@router.get("/nearest")
async def nearest(request: Request, context: Context, session: Visitor) -> Response:
    """Show the open trades whose last price is nearest to their stop loss."""
    return await context.pages.arriving(request, session, "nearest.html", partial(_nearest, context, session))


async def _nearest(context: ConsoleContext, session: Session) -> dict[str, Any]:
    found = await attempt(context.exit_api, session.token, "/exits/nearest", limit=PAGE)
    return {"trades": found.items(), "fault": found.fault}


@router.get("/distances")
async def distances(context: Context, session: Visitor, wanted: Wanted) -> HTMLResponse:
    """Return the distance to the nearest level of each open trade of a page, to be put into its cell."""
    trades = await _open_trades(context, session, wanted)
    found = await _distances(context, session, trades)
    return HTMLResponse(context.pages.text("distances.html", found=found))


async def _open_trades(context: ConsoleContext, session: Session, wanted: BookView) -> Answer:
    return await attempt(
        context.trade_api,
        session.token,
        "/trades",
        status="OPEN",
        symbol=wanted.symbol,
        limit=PAGE,
        cursor=wanted.cursor,
    )


async def _totals(context: ConsoleContext, session: Session, day: date) -> Answer:
    """Return the profit and loss of a day, with the groups of each kind."""
    kinds = ",".join(kind for kind, _ in GROUPS)
    return await attempt(context.trade_api, session.token, "/pnl", day=str(day), group_by=kinds)


async def _open_trades_with_stops(
    context: ConsoleContext, session: Session, wanted: BookView
) -> tuple[Answer, Answer, dict[str, tuple[str, str]]]:
    """Return a page of trades, their protective stops, and how far their levels are."""
    trades = await _open_trades(context, session, wanted)
    ids = [trade["trade_id"] for trade in trades.items()]
    stops, found = await asyncio.gather(_stops(context, session, ids), _distances(context, session, trades))
    return trades, stops, found


async def _distances(context: ConsoleContext, session: Session, trades: Answer) -> dict[str, tuple[str, str]]:
    """Return the last price and the nearest level of each trade whose symbol has a price."""
    prices = await last_prices(context, session, sorted({trade["symbol"] for trade in trades.items()}))
    return {
        trade["trade_id"]: (prices[trade["symbol"]], nearest_level(trade, prices[trade["symbol"]]))
        for trade in trades.items()
        if trade["symbol"] in prices
    }


def _table(kind: str, title: str, totals: Json) -> PnlTable:
    groups = [group for group in totals.get("groups", ()) if group["group_by"] == kind]
    return PnlTable(title, list(zip(groups, bars([group["net_pnl"] for group in groups]), strict=True)))


async def _stops(context: ConsoleContext, session: Session, trade_ids: Sequence[str]) -> Answer:
    """Return the protective stops of these trades not ended yet: at most one of each."""
    if not trade_ids:
        return Answer({"items": []})
    return await attempt(
        context.exit_api, session.token, "/protective-stops", trade_ids=",".join(trade_ids), standing=True, limit=PAGE
    )
