"""Routes: trades."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from fastapi import Response

from services.trade_management.api.context import Context
from services.trade_management.api.openings import OpeningRequest
from services.trade_management.api.timeline import Timeline, timeline
from services.trade_management.api.views import ChangePlan, OpenTrade, TradePage, TradeView
from services.trade_management.domain.trade import Market, StoredTrade
from services.trade_management.storage.closures import TradeClosureRepository
from services.trade_management.storage.corporate_actions import CorporateActionRepository
from services.trade_management.storage.fills import TradeFillRepository
from services.trade_management.storage.trades import TradeRepository, WantedTrades
from services.trade_management.trade_management_service import Opening
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol
from shared.contracts.vocabulary import TradeStatus
from shared.http.auth import Reader, Trader
from shared.http.declared_errors import declared
from shared.http.idempotency import IdempotencyKey, KeyedRequest, request_hash
from shared.http.paging import Keyset, PageCursor, PageLimit
from shared.http.preconditions import IfMatch, etag, require_match
from shared.http.routing import api_router
from shared.postgres.audit import Act

router = api_router(prefix="/trades", tags=["trades"])


def _sort_key(trade: StoredTrade) -> tuple[Timestamp, UUID]:
    return trade.created_at, trade.trade_id


TRADES = Keyset("trades", tuple[Timestamp, UUID], _sort_key)


@router.post("", status_code=201, response_model=TradeView, responses=declared(409))
async def open_trade(body: OpenTrade, context: Context, caller: Trader, key: IdempotencyKey = None) -> Response:
    """Open a trade; its exit plan applies immediately.

    A plan already met at the last price is answered 409 `would_exit_now`, unless `allow_immediate` is set. A
    trade at an account beyond its loss limit is answered 409 `account_held` until an operator releases it.
    """
    market = await context.market_questions.of(body.symbol)
    opening = Opening(body.trade(context.clock), body.exit_plan, _asked(market, body), context.traceparent)
    keyed = None if key is None else KeyedRequest(f"POST /trades {caller.name}", key, request_hash(body))
    return await context.openings.answer(OpeningRequest(opening, keyed))


@router.get("")
def trades(
    context: Context,
    _: Reader,
    status: TradeStatus | None = None,
    symbol: Symbol | None = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> TradePage:
    """List trades, newest first."""
    # One row more than the limit shows whether there is a next page.
    wanted = WantedTrades(status, symbol, TRADES.after(cursor), limit + 1)
    with context.unit_of_work() as uow:
        found = TradeRepository(uow.connection).page(wanted)
    page = TRADES.page(found, limit)
    return TradePage(items=[TradeView.of(trade) for trade in page.items], next=page.next)


@router.get("/{trade_id}", responses=declared(404))
def one_trade(trade_id: UUID, context: Context, _: Reader, response: Response) -> TradeView:
    """Return one trade; `ETag` is the version of its exit plan."""
    with context.unit_of_work() as uow:
        return _with_etag(TradeRepository(uow.connection).get(trade_id), response)


@router.patch("/{trade_id}/exit-plan", responses=declared(404, 409, 412, 428))
def change_exit_plan(
    trade_id: UUID, body: ChangePlan, context: Context, caller: Trader, response: Response, if_match: IfMatch = None
) -> TradeView:
    """Change the exit plan of an open trade. The changed rules are judged at once by the last price.

    A given rule replaces the old one whole, null removes it, and others stay. A changed trailing stop keeps its best
    price; a new one starts at the better of entry and last price, and a break-even stop not armed yet counts from there
    too. `If-Match` names the plan's version.
    A rule already met at the last price is answered 409 `would_exit_now`, unless `allow_immediate` is set. Best prices
    and bricks since entry are known to exit-ticks alone: a changed rule that they already meet exits at once.
    """
    with context.unit_of_work() as uow:
        symbol = TradeRepository(uow.connection).get(trade_id).symbol
    market = _asked(context.markets.of(symbol), body)
    with context.unit_of_work() as uow:
        trade = TradeRepository(uow.connection).lock_row(trade_id)
        require_match(if_match, trade.plan_version)
        act = Act(caller.name, body.reason_note or "exit plan changed")
        changed = context.service.change_plan(uow, trade, body, act, market=market)
        uow.commit()
    return _with_etag(changed, response)


@router.get("/{trade_id}/timeline", responses=declared(404))
def trade_timeline(trade_id: UUID, context: Context, _: Reader) -> Timeline:
    """Return a trade's history in order: opening, fills, closures with their charges, corporate actions."""
    with context.unit_of_work() as uow:
        trade = TradeRepository(uow.connection).get(trade_id)
        fills = TradeFillRepository(uow.connection).of_trades([trade_id]).get(trade_id, [])
        closures = TradeClosureRepository(uow.connection)
        adjustments = CorporateActionRepository(uow.connection).of_trade(trade_id)
        booked = closures.of_trades([trade_id]).get(trade_id, [])
        return timeline(trade, fills, booked, closures.lines_of(trade_id), adjustments)


def _with_etag(trade: StoredTrade, response: Response) -> TradeView:
    response.headers["ETag"] = etag(trade.plan_version)
    return TradeView.of(trade)


def _asked(market: Market, body: OpenTrade | ChangePlan) -> Market:
    """Return the market for checking a plan; a plan allowed to exit at once need not fit the last price."""
    return replace(market, last_price=None) if body.allow_immediate else market
