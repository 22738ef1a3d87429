"""Common parts of routes: the authenticated account, the submitted form, changes of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from services.paper_broker.accounts import Account, Accounts
from services.paper_broker.broker import PaperBroker
from services.paper_broker.call_effects import (
    Call,
    CallEffect,
    ExpireSession,
    LoseRequest,
    call_named,
    effect_of,
)
from services.paper_broker.gtt_desk import GttDesk
from services.paper_broker.kite_answers import LostRequest
from services.paper_broker.kite_errors import bad_input, bad_token
from services.paper_broker.ledger import Ledger
from services.paper_broker.records import Records

API_VERSION = "3"
URL_ENCODED = "application/x-www-form-urlencoded"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Parts of a broker for the routes."""

    accounts: Accounts
    broker: PaperBroker
    records: Records
    ledger: Ledger
    gtts: GttDesk
    freeze_quantity: int = 0

    def is_logged_in(self, account: Account) -> bool:
        """Return False only after a log-out."""
        return account.user_id not in self.ledger.admission.logged_out

    def is_disturbed(self, account: Account, call: Call) -> bool:
        """Return whether the call meets a fault."""
        if account.user_id not in self.ledger.admission.with_faults:
            return False
        with self.ledger.read() as books:
            return bool(books.faults.of_call(account.user_id, call))

    def take_call_faults(self, account: Account, call: Call) -> list[CallEffect]:
        """Return the effects on a call; rules are used up by it."""
        with self.ledger.write() as books:
            return books.faults.take_call(account.user_id, call)


def desk_of(request: Request) -> Desk:
    """Return the application's desk."""
    desk: Desk = request.app.state.desk
    return desk


def client_of(request: Request) -> Account:
    """Return the account of the request's token; the call meets the account's faults.

    Raises
    ------
    KiteError
        TokenException; InputException if the request names another version of the API.
    LostRequest
        A fault loses the call.
    """
    desk, account = desk_of(request), account_of(request)
    if not desk.is_logged_in(account):
        raise bad_token()
    call = call_named(request.method, request.scope["path"])
    if desk.is_disturbed(account, call):
        _disturb(request, desk.take_call_faults(account, call))
    return account


def account_of(request: Request) -> Account:
    """Return the account of the request's token, whether logged in or not.

    Raises
    ------
    KiteError
        TokenException; InputException if the request names another version of the API.
    """
    headers = request.headers
    if headers.get("x-kite-version", API_VERSION) != API_VERSION:
        raise bad_input("Only version 3 of the API is served.")
    account = desk_of(request).accounts.by_header(headers.get("authorization", ""))
    if account is None:
        raise bad_token()
    return account


def _disturb(request: Request, effects: Sequence[CallEffect]) -> None:
    """Refuse or lose the call as its effects say; leave those on its answer to the application."""
    if effect_of(effects, ExpireSession):
        raise bad_token()
    lost = effect_of(effects, LoseRequest)
    if lost is not None:
        raise LostRequest(lost.after_ms)
    request.state.answer_effects = effects


async def form_of(request: Request) -> dict[str, str]:
    """Return the form-encoded body; the last value of a repeated name wins."""
    if request.headers.get("content-type") == URL_ENCODED:
        return dict(parse_qsl((await request.body()).decode("latin-1"), keep_blank_values=True))
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


async def change(desk: Desk, make: Callable[[], T]) -> T:
    """Make a change of the ledger: at once if no other one is under way, because a hop to a thread costs as much."""
    return make() if desk.ledger.is_free else await run_in_threadpool(make)


# Dependencies are coroutines: their work takes microseconds, a hop to a worker thread half a millisecond.
async def _the_desk(request: Request) -> Desk:
    return desk_of(request)


async def _the_client(request: Request) -> Account:
    return client_of(request)


async def _the_holder(request: Request) -> Account:
    return account_of(request)


AtDesk = Annotated[Desk, Depends(_the_desk)]
Client = Annotated[Account, Depends(_the_client)]
Holder = Annotated[Account, Depends(_the_holder)]
"""Account of the control API: it is served without a session, and its calls meet no faults."""
Form = Annotated[dict[str, str], Depends(form_of)]
