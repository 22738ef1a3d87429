"""Changes of every row of a filter: the form for the filter, and the effects of a dry run in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, carry_out, show
from services.console.api_client import ApiFault, Json
from services.console.context import ConsoleContext, PostedForm
from services.console.sessions import Session
from shared.ids import new_id
from shared.wording import plural

FilterText = Annotated[str, Query(max_length=100)]

POSITIONS_SHOWN = 20
SKIPPED = {
    "exit_in_progress": "an exit is in progress",
    "not_executable": "the rollout does not execute it",
    "already_sent": "the order was sent",
    "row_held": "another transaction holds it; try again",
}


@dataclass(frozen=True, kw_only=True)
class BulkFilter:
    """Conditions of a change; empty means any.

    Attributes
    ----------
    REASON:
        Name of the reason in the API's request.
    """

    REASON: ClassVar[str] = "reason"
    symbol: str = ""
    user_broker_id: str = ""

    @property
    def is_empty(self) -> bool:
        """Return True if the filter names nothing."""
        return not self.given()

    @property
    def title(self) -> str:
        """Return the title of the change."""
        raise NotImplementedError

    def given(self) -> dict[str, str]:
        """Return the conditions with a value."""
        return {name: value for name, value in asdict(self).items() if value}

    def named(self, choice: str) -> str:
        """Return the conditions in words; `choice` names the one of the change's own."""
        account = f"account {self.user_broker_id}" if self.user_broker_id else ""
        return ", ".join(filter(None, (self.symbol, choice, account)))

    def body(self, reason: str, *, dry_run: bool) -> Json:
        """Return the body of the API's request."""
        return {**self.given(), self.REASON: reason, "dry_run": dry_run}


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


@dataclass(frozen=True)
class BulkChange:
    """Change of every row of a filter: its form, and its words.

    Attributes
    ----------
    verb, noun:
        What is done to what, e.g. Exit and trade.
    counted:
        Field of the API's answer with the number of changed rows.
    done:
        Sentence after the change, with a place for the number of rows.
    none_found, none_changed:
        Sentences if no row meets the filter, and if all are skipped.
    consequences:
        Returns the effects of a dry run, one sentence each.
    """

    form: BulkForm
    verb: str
    noun: str
    counted: str
    done: str
    none_found: str
    none_changed: str
    consequences: Callable[[Json], list[str]]

    async def preview(
        self, request: Request, context: ConsoleContext, session: Session, wanted: BulkFilter
    ) -> HTMLResponse:
        """Ask for the filter, or show the effect of the change."""
        fault = None
        if session.may_operate and not wanted.is_empty:
            try:
                return show(request, context, session, await self._action(context, session, wanted, str(new_id())))
            except ApiFault as error:
                if error.status == 401:
                    raise
                fault = error
        status = 200 if fault is None else 422
        return context.pages.page(
            request, session, "bulk.html", status=status, form=self.form, wanted=wanted, fault=fault
        )

    async def carry_out(
        self, request: Request, context: ConsoleContext, form: PostedForm, wanted: BulkFilter
    ) -> Response:
        """Change the rows; the number typed must still be the number of rows."""
        session, key = form.session, form["key"]

        async def act(reason: str) -> str:
            body = wanted.body(reason, dry_run=False)
            answer = await context.exit_api.post(session.token, self.form.path, body, key=key)
            changed = answer[self.counted]
            skipped = len(answer["items"]) - changed
            left = f" {plural(skipped, self.noun)} skipped." if skipped else ""
            return self.done.format(plural(changed, self.noun)) + left

        return await carry_out(request, context, form, await self._action(context, session, wanted, key), act)

    async def _action(self, context: ConsoleContext, session: Session, wanted: BulkFilter, key: str) -> Action:
        """Return the change as a dry run of the API shows it."""
        body = wanted.body("preview", dry_run=True)
        found = await context.exit_api.post(session.token, self.form.path, body)
        count = found[self.counted]
        return Action(
            title=wanted.title,
            path=self.form.path,
            button=f"{self.verb} {plural(count, self.noun)}",
            back="/exits",
            consequences=self.consequences(found),
            obstacle="" if count else self._nothing(found),
            word=f"{self.verb.lower()} {count}",
            hidden={**asdict(wanted), "key": key},
        )

    def _nothing(self, found: Json) -> str:
        if not found["items"]:
            return self.none_found
        return " ".join([self.none_changed, *skips(found["items"], self.noun)])


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
