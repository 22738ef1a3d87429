"""Route: profit and loss."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Query, Response

from services.trade_management.api.context import Context
from services.trade_management.api.views import PnlGroupView, PnlSums, PnlView
from services.trade_management.storage.pnl import NOTHING, PnlFilter, PnlGroup, PnlRepository
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import ExitReason, ProductType
from shared.errors import InvalidInput
from shared.http.auth import Reader
from shared.http.routing import api_router

router = api_router(tags=["pnl"])

Day = Annotated[
    date | None,
    Query(ge=date(1970, 1, 2), le=date(2199, 12, 30), description="trading day (Asia/Kolkata) of the closure"),
]
_KIND = f"({'|'.join(PnlGroup)})"
GroupBy = Annotated[
    str | None,
    Query(
        pattern=f"^{_KIND}(,{_KIND}){{0,{len(PnlGroup) - 1}}}$",
        description=f"kinds of groups, separated by commas: {', '.join(PnlGroup)}",
    ),
]
TOTAL = "TOTAL"
"""Group of the last row of a CSV."""


class PnlFormat(StrEnum):
    """Form of the answer."""

    JSON = "json"
    CSV = "csv"


def pnl_filter(
    day: Day = None,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    exit_reason: ExitReason | None = None,
    product_type: ProductType | None = None,
) -> PnlFilter:
    """Return the conditions of a request."""
    return PnlFilter(day, symbol, user_broker_id, exit_reason, product_type)


@router.get("/pnl", response_model=PnlView, responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
def pnl(
    context: Context,
    _: Reader,
    wanted: Annotated[PnlFilter, Depends(pnl_filter)],
    group_by: GroupBy = None,
    answer_as: Annotated[PnlFormat, Query(alias="format")] = PnlFormat.JSON,
) -> PnlView | Response:
    """Return totals over closed trades, and with `group_by` the totals of each group.

    Days are in order, other groups with the most profitable first. The CSV has a row for each group of one kind and a
    last one for the total. Without `day` every closed trade is read, about a microsecond each.
    """
    kinds = [PnlGroup(kind) for kind in group_by.split(",")] if group_by else []
    if len(kinds) > 1 and answer_as is PnlFormat.CSV:
        raise InvalidInput("a CSV has the groups of one kind")
    with context.unit_of_work() as uow:
        repository = PnlRepository(uow.connection)
        groups = repository.by(kinds, wanted) if kinds else {}
        # Every trade is in one group of each kind: to add them up spares a second reading of the trades.
        totals = sum(groups[kinds[0]].values(), NOTHING) if kinds else repository.of_closed_trades(wanted)
    found = [
        PnlGroupView(group_by=kind, group=name, **asdict(sums))
        for kind, named in groups.items()
        for name, sums in named.items()
    ]
    only = kinds[0] if len(kinds) == 1 else None
    view = PnlView(**asdict(wanted), group_by=only, groups=found, **asdict(totals))
    return view if answer_as is PnlFormat.JSON else Response(_csv(view), media_type="text/csv")


def _csv(view: PnlView) -> str:
    sums = PnlSums.model_validate(view, from_attributes=True)
    rows = [*((group.group, group) for group in view.groups), (TOTAL, sums)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["group", *PnlSums.model_fields], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({**row.model_dump(mode="json"), "group": name} for name, row in rows)
    return text.getvalue()
