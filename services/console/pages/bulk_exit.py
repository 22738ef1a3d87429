"""Page: exit every open trade of a filter, after a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from services.console.api_client import Json
from services.console.bulk_changes import BulkChange, BulkFilter, BulkForm, FilterText, positions, skips
from services.console.context import Context, OperatorForm, Visitor
from services.console.wording import closing_verb
from shared.contracts.vocabulary import ProductType
from shared.wording import plural

router = APIRouter(prefix="/exits/bulk")


@dataclass(frozen=True, kw_only=True)
class TradeFilter(BulkFilter):
    """Open trades to exit; empty means any."""

    REASON: ClassVar[str] = "reason_note"
    product_type: str = ""

    @property
    def title(self) -> str:
        """Return the title of the change."""
        return f"Exit every trade of {self.named(self.product_type)}"


def trade_filter(
    symbol: FilterText = "", product_type: FilterText = "", user_broker_id: FilterText = ""
) -> TradeFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return TradeFilter(symbol=symbol.strip().upper(), user_broker_id=user_broker_id.strip(), product_type=product_type)


@router.get("")
async def preview(
    request: Request, context: Context, session: Visitor, wanted: Annotated[TradeFilter, Depends(trade_filter)]
) -> HTMLResponse:
    """Ask for the filter, or show the effect of exiting its trades."""
    return await EXIT_TRADES.preview(request, context, session, wanted)


@router.post("")
async def bulk_exit(request: Request, context: Context, form: OperatorForm) -> Response:
    """Exit the trades."""
    wanted = trade_filter(form["symbol"], form["product_type"], form["user_broker_id"])
    return await EXIT_TRADES.carry_out(request, context, form, wanted)


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


EXIT_TRADES = BulkChange(
    form=BulkForm(
        title="Exit trades",
        path="/exits/bulk",
        hint="Every open trade that meets all given conditions is exited. The next page shows which, before anything "
        "happens.",
        choice="product_type",
        label="Product",
        options={product: product for product in ProductType},
    ),
    verb="Exit",
    noun="trade",
    counted="exits",
    done="Manual exits of {} accepted.",
    none_found="No open trade meets the filter.",
    none_changed="No trade is exited.",
    consequences=exit_consequences,
)
