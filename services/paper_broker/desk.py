"""Dependencies shared by the routes: the authenticated account and the submitted form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.paper_broker.accounts import Account, Accounts
from services.paper_broker.broker import PaperBroker
from services.paper_broker.gtt_desk import GttDesk
from services.paper_broker.kite_errors import bad_input, bad_token
from services.paper_broker.ledger import Ledger
from services.paper_broker.records import Records

API_VERSION = "3"


@dataclass(frozen=True, slots=True)
class Desk:
    """Parts of a broker that the routes use."""

    accounts: Accounts
    broker: PaperBroker
    records: Records
    ledger: Ledger
    gtts: GttDesk

    def is_logged_in(self, account: Account) -> bool:
        """Return False after a log-out, until the next log-in."""
        with self.ledger.read() as books:
            return books.sessions.is_open(account.user_id)


# Dependencies are coroutines: what they do takes microseconds, and a hop to a worker thread half a millisecond.
async def the_desk(request: Request) -> Desk:
    """Return the application's desk."""
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(the_desk)]


async def the_client(request: Request, desk: AtDesk) -> Account:
    """Return the account of the request's token.

    Raises
    ------
    KiteError
        TokenException; InputException if the request names another version of the API.
    """
    if request.headers.get("x-kite-version", API_VERSION) != API_VERSION:
        raise bad_input("Only version 3 of the API is served.")
    account = desk.accounts.by_header(request.headers.get("authorization", ""))
    if account is None or not desk.is_logged_in(account):
        raise bad_token()
    return account


Client = Annotated[Account, Depends(the_client)]


async def the_form(request: Request) -> dict[str, str]:
    """Return the form-encoded body; the last value of a repeated name wins."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Form = Annotated[dict[str, str], Depends(the_form)]
