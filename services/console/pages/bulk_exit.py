"""Page: exit every open trade of a filter, after a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, carry_out, show
from services.console.api_client import ApiFault, Json
from services.console.context import ConsoleContext, Context, OperatorForm, Visitor
from services.console.sessions import Session
from services.console.wording import closing_verb, plural
from shared.contracts.vocabulary import ProductType
from shared.ids import new_id

router = APIRouter(prefix="/exits/bulk")

POSITIONS_SHOWN = 20
SKIPPED = {
    "exit_in_progress": "an exit is in progress",
    "not_executable": "the rollout does not execute it",
    "row_held": "another transaction holds it; try again",
}
_Text = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class TradeFilter:
    """Open trades to exit; empty means any."""

    symbol: str = ""
    product_type: str = ""
    user_broker_id: str = ""

    @property
    def is_empty(self) -> bool:
        """Return True if the filter names nothing."""
        return not any(asdict(self).values())

    @property
    def named(self) -> str:
        """Return the conditions in words."""
        account = f"account {self.user_broker_id}" if self.user_broker_id else ""
        return ", ".join(filter(None, (self.symbol, self.product_type, account)))

    def body(self, reason: str, *, dry_run: bool) -> Json:
        """Return the body of the API's request."""
        named = {name: value for name, value in asdict(self).items() if value}
        return {**named, "reason_note": reason, "dry_run": dry_run}


def trade_filter(symbol: _Text = "", product_type: _Text = "", user_broker_id: _Text = "") -> TradeFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return TradeFilter(symbol.strip().upper(), product_type, user_broker_id.strip())


Wanted = Annotated[TradeFilter, Depends(trade_filter)]


@router.get("")
async def preview(request: Request, context: Context, session: Visitor, wanted: Wanted) -> HTMLResponse:
    """Ask for the filter, or show the effect of exiting its trades."""
    fault = None
    if session.may_operate and not wanted.is_empty:
        try:
            return show(request, context, session, await _bulk(context, session, wanted, str(new_id())))
        except ApiFault as error:
            if error.status == 401:
                raise
            fault = error
    return context.pages.page(
        request,
        session,
        "bulk_exit.html",
        status=200 if fault is None else 422,
        wanted=wanted,
        fault=fault,
        products=tuple(ProductType),
    )


@router.post("")
async def bulk_exit(request: Request, context: Context, form: OperatorForm) -> Response:
    """Exit the trades; the number typed must still be the number of trades."""
    session, key = form.session, form["key"]
    wanted = trade_filter(form["symbol"], form["product_type"], form["user_broker_id"])

    async def act(reason: str) -> str:
        body = wanted.body(reason, dry_run=False)
        done = await context.exit_api.post(session.token, "/exits/bulk", body, key=key)
        skipped = len(done["items"]) - done["exits"]
        left = f" {plural(skipped, 'trade')} skipped." if skipped else ""
        return f"Manual exits of {plural(done['exits'], 'trade')} accepted.{left}"

    return await carry_out(request, context, form, await _bulk(context, session, wanted, key), act)


async def _bulk(context: ConsoleContext, session: Session, wanted: TradeFilter, key: str) -> Action:
    """Return the change as a dry run of the API shows it."""
    body = wanted.body("preview", dry_run=True)
    found = await context.exit_api.post(session.token, "/exits/bulk", body)
    count = found["exits"]
    return Action(
        title=f"Exit every trade of {wanted.named}",
        path="/exits/bulk",
        button=f"Exit {plural(count, 'trade')}",
        back="/exits",
        consequences=bulk_consequences(found),
        obstacle="" if count else _nothing(found),
        word=f"exit {count}",
        hidden={**asdict(wanted), "key": key},
    )


def bulk_consequences(found: Json) -> list[str]:
    """Return the effects of a dry run's exits, one sentence each."""
    exits = [item for item in found["items"] if item["skipped"] is None]
    sentences = [f"Exits {plural(len(exits), 'trade')}: {_sums(exits)}."]
    positions = _by_position(exits)
    sentences += [_position(items) for items in positions[:POSITIONS_SHOWN]]
    left = sum(map(len, positions[POSITIONS_SHOWN:]))
    if left:
        sentences.append(f"{plural(left, 'more trade')} in the same way.")
    sentences += _skips(found)
    return [*sentences, "The kill switch does not hold them back. Waiting exits of these trades are replaced."]


def _by_position(exits: list[Json]) -> list[list[Json]]:
    """Return the exits of each position, in the order of their first one."""
    positions: dict[tuple[str, ...], list[Json]] = {}
    for item in exits:
        names = ("symbol", "direction", "product_type", "user_broker_id")
        positions.setdefault(tuple(item[name] for name in names), []).append(item)
    return list(positions.values())


def _position(exits: list[Json]) -> str:
    one, shares = exits[0], sum(item["quantity"] for item in exits)
    trades = f", in {plural(len(exits), 'trade')}" if len(exits) > 1 else ""
    position = f"{shares:,} {one['symbol']} ({one['product_type']}) on account {one['user_broker_id']}"
    return f"{closing_verb(one['direction'])} {position}{trades}."


def _sums(exits: list[Json]) -> str:
    sold = sum(item["quantity"] for item in exits if item["direction"] == "LONG")
    bought = sum(item["quantity"] for item in exits if item["direction"] != "LONG")
    parts: Mapping[str, int] = {"sells": sold, "buys back": bought}
    return " and ".join(f"{verb} {plural(shares, 'share')}" for verb, shares in parts.items() if shares)


def _skips(found: Json) -> list[str]:
    counts = Counter(item["skipped"] for item in found["items"] if item["skipped"] is not None)
    return [f"Skips {plural(count, 'trade')}: {SKIPPED.get(why, why)}." for why, count in counts.items()]


def _nothing(found: Json) -> str:
    return " ".join(["No trade is exited.", *_skips(found)] if found["items"] else ["No open trade meets the filter."])
