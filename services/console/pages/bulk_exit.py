"""Page: exit every open trade of a filter, after a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, carry_out
from services.console.api_client import Json
from services.console.bulk_changes import BulkFilter, BulkForm, positions, preview_bulk, skips
from services.console.context import ConsoleContext, Context, OperatorForm, Visitor
from services.console.sessions import Session
from services.console.wording import closing_verb, plural
from shared.contracts.vocabulary import ProductType
from shared.ids import new_id

PATH = "/exits/bulk"
FORM = BulkForm(
    title="Exit trades",
    path=PATH,
    hint="Every open trade that meets all given conditions is exited. The next page shows which, before anything "
    "happens.",
    choice="product_type",
    label="Product",
    options={product: product for product in ProductType},
)
router = APIRouter(prefix=PATH)
_Text = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True, kw_only=True)
class TradeFilter(BulkFilter):
    """Open trades to exit; empty means any."""

    product_type: str = ""

    def body(self, reason: str, *, dry_run: bool) -> Json:
        """Return the body of the API's request."""
        return {**self.given(), "reason_note": reason, "dry_run": dry_run}


def trade_filter(symbol: _Text = "", product_type: _Text = "", user_broker_id: _Text = "") -> TradeFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return TradeFilter(symbol=symbol.strip().upper(), user_broker_id=user_broker_id.strip(), product_type=product_type)


Wanted = Annotated[TradeFilter, Depends(trade_filter)]


@router.get("")
async def preview(request: Request, context: Context, session: Visitor, wanted: Wanted) -> HTMLResponse:
    """Ask for the filter, or show the effect of exiting its trades."""
    return await preview_bulk(
        request, context, session, FORM, wanted, lambda: _bulk(context, session, wanted, str(new_id()))
    )


@router.post("")
async def bulk_exit(request: Request, context: Context, form: OperatorForm) -> Response:
    """Exit the trades; the number typed must still be the number of trades."""
    session, key = form.session, form["key"]
    wanted = trade_filter(form["symbol"], form["product_type"], form["user_broker_id"])

    async def act(reason: str) -> str:
        done = await context.exit_api.post(session.token, PATH, wanted.body(reason, dry_run=False), key=key)
        skipped = len(done["items"]) - done["exits"]
        left = f" {plural(skipped, 'trade')} skipped." if skipped else ""
        return f"Manual exits of {plural(done['exits'], 'trade')} accepted.{left}"

    return await carry_out(request, context, form, await _bulk(context, session, wanted, key), act)


async def _bulk(context: ConsoleContext, session: Session, wanted: TradeFilter, key: str) -> Action:
    """Return the change as a dry run of the API shows it."""
    found = await context.exit_api.post(session.token, PATH, wanted.body("preview", dry_run=True))
    count = found["exits"]
    return Action(
        title=f"Exit every trade of {wanted.named(wanted.product_type)}",
        path=PATH,
        button=f"Exit {plural(count, 'trade')}",
        back="/exits",
        consequences=exit_consequences(found),
        obstacle="" if count else _nothing(found),
        word=f"exit {count}",
        hidden={**asdict(wanted), "key": key},
    )


def exit_consequences(found: Json) -> list[str]:
    """Return the effects of a dry run's exits, one sentence each."""
    exits = [item for item in found["items"] if item["skipped"] is None]
    return [
        f"Exits {plural(len(exits), 'trade')}: {_sums(exits)}.",
        *positions(exits, lambda item: closing_verb(item["direction"])),
        *skips(found["items"], "trade"),
        "The kill switch does not hold them back. Waiting exits of these trades are replaced.",
    ]


def _sums(exits: list[Json]) -> str:
    sold = sum(item["quantity"] for item in exits if item["direction"] == "LONG")
    bought = sum(item["quantity"] for item in exits if item["direction"] != "LONG")
    parts: Mapping[str, int] = {"sells": sold, "buys back": bought}
    return " and ".join(f"{verb} {plural(shares, 'share')}" for verb, shares in parts.items() if shares)


def _nothing(found: Json) -> str:
    if not found["items"]:
        return "No open trade meets the filter."
    return " ".join(["No trade is exited.", *skips(found["items"], "trade")])
