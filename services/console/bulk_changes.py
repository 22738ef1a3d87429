"""Changes of every row of a filter: the form for the filter, and the effects of a dry run in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from services.console.actions import Action, show
from services.console.api_client import ApiFault, Json
from services.console.context import ConsoleContext
from services.console.sessions import Session
from services.console.wording import plural

POSITIONS_SHOWN = 20
SKIPPED = {
    "exit_in_progress": "an exit is in progress",
    "not_executable": "the rollout does not execute it",
    "already_sent": "the order was sent",
    "row_held": "another transaction holds it; try again",
}


@dataclass(frozen=True, kw_only=True)
class BulkFilter:
    """Conditions of a change; empty means any."""

    symbol: str = ""
    user_broker_id: str = ""

    @property
    def is_empty(self) -> bool:
        """Return True if the filter names nothing."""
        return not self.given()

    def given(self) -> dict[str, str]:
        """Return the conditions that are not empty."""
        return {name: value for name, value in asdict(self).items() if value}

    def named(self, choice: str) -> str:
        """Return the conditions in words; `choice` names the one of the change's own."""
        account = f"account {self.user_broker_id}" if self.user_broker_id else ""
        return ", ".join(filter(None, (self.symbol, choice, account)))


@dataclass(frozen=True)
class BulkForm:
    """Form for the filter of a change.

    Attributes
    ----------
    choice:
        Name of the condition chosen from `options`, which has the words for each value.
    """

    title: str
    path: str
    hint: str
    choice: str
    label: str
    options: Mapping[str, str]


async def preview_bulk(
    request: Request,
    context: ConsoleContext,
    session: Session,
    form: BulkForm,
    wanted: BulkFilter,
    ask: Callable[[], Awaitable[Action]],
) -> HTMLResponse:
    """Ask for the filter, or show the change that `ask` returns for it."""
    fault = None
    if session.may_operate and not wanted.is_empty:
        try:
            return show(request, context, session, await ask())
        except ApiFault as error:
            if error.status == 401:
                raise
            fault = error
    status = 200 if fault is None else 422
    return context.pages.page(request, session, "bulk.html", status=status, form=form, wanted=wanted, fault=fault)


def positions(items: Sequence[Json], verb: Callable[[Json], str]) -> list[str]:
    """Return a sentence for each position, in the order of their first item; many are cut and counted."""
    found = _by_position(items)
    sentences = [_position(each, verb(each[0])) for each in found[:POSITIONS_SHOWN]]
    left = sum(map(_trades, found[POSITIONS_SHOWN:]))
    return [*sentences, f"{plural(left, 'more trade')} in the same way."] if left else sentences


def skips(items: Sequence[Json], what: str) -> list[str]:
    """Return a sentence for each reason to skip an item."""
    counts = Counter(item["skipped"] for item in items if item["skipped"] is not None)
    return [f"Skips {plural(count, what)}: {SKIPPED.get(why, why)}." for why, count in counts.items()]


def _by_position(items: Sequence[Json]) -> list[list[Json]]:
    found: dict[tuple[str, ...], list[Json]] = {}
    for item in items:
        names = ("symbol", "direction", "product_type", "user_broker_id")
        found.setdefault(tuple(item[name] for name in names), []).append(item)
    return list(found.values())


def _position(items: Sequence[Json], verb: str) -> str:
    one, shares, trades = items[0], sum(item["quantity"] for item in items), _trades(items)
    position = f"{shares:,} {one['symbol']} ({one['product_type']}) on account {one['user_broker_id']}"
    among = f", in {plural(trades, 'trade')}" if trades > 1 else ""
    return f"{verb} {position}{among}."


def _trades(items: Sequence[Json]) -> int:
    return len({item["trade_id"] for item in items})
