"""Requests to open trades, written in groups: one transaction, with one statement for each table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import Response

from services.trade_management.api.views import TradeView
from services.trade_management.domain.trade import StoredTrade
from services.trade_management.trade_management_service import Opening, TradeManagementService
from shared.errors import ExitflowError
from shared.http.idempotency import KeyedRequest, ask_answers, keep_answers
from shared.http.write_groups import WriteGroups
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import pipelined
from shared.postgres.row_locks import limit_lock_waits
from shared.runtime.failpoints import Failpoint, failpoint

CREATED = 201
WAIT_S = 3.0
"""Longest wait for a place in a group, as long as other requests wait for a connection."""

Outcome = Response | ExitflowError


@dataclass(frozen=True, slots=True)
class OpeningRequest:
    """A trade to open, and the key of its request if it has one."""

    opening: Opening
    key: KeyedRequest | None = None


Openings = WriteGroups[OpeningRequest, Response]


def openings_of(service: TradeManagementService, unit_of_work: Callable[[], UnitOfWork]) -> Openings:
    """Return the groups of an API; two requests with one key are never in the same group."""

    def write(requests: Sequence[OpeningRequest]) -> list[Outcome]:
        with unit_of_work() as uow:
            return open_group(service, uow, requests)

    return WriteGroups(write, _identity, WAIT_S)


def _identity(request: OpeningRequest) -> tuple[str, str] | None:
    return None if request.key is None else request.key.place


def open_group(service: TradeManagementService, uow: UnitOfWork, requests: Sequence[OpeningRequest]) -> list[Outcome]:
    """Open the trades of new requests and commit; return each request's answer, or why it is refused."""
    keyed = {nth: request.key for nth, request in enumerate(requests) if request.key is not None}
    with pipelined(uow.connection):
        if len(requests) > 1:
            limit_lock_waits(uow.connection)  # a row needed by one request must not hold up the others
        stored = ask_answers(uow.connection, list(keyed.values()))
        standings = service.ask_standings(uow, [request.opening for request in requests])
    earlier = stored.get()
    outcomes: dict[int, Outcome] = {
        nth: earlier[key.place].to(key) for nth, key in keyed.items() if key.place in earlier
    }
    fresh = [nth for nth in range(len(requests)) if nth not in outcomes]
    opened = service.open_trades(uow, [requests[nth].opening for nth in fresh], standings.get())
    bodies = {nth: _body(trade) for nth, trade in zip(fresh, opened, strict=True) if isinstance(trade, StoredTrade)}
    refused = {nth: trade for nth, trade in zip(fresh, opened, strict=True) if isinstance(trade, ExitflowError)}
    if bodies:
        _commit(uow, {keyed[nth]: body for nth, body in bodies.items() if nth in keyed})
    outcomes |= refused | {nth: _answer(body) for nth, body in bodies.items()}
    return [outcomes[nth] for nth in range(len(requests))]


def _commit(uow: UnitOfWork, answers: Mapping[KeyedRequest, str]) -> None:
    failpoint(Failpoint.API_BEFORE_COMMIT)
    uow.commit(partial(keep_answers, uow.connection, CREATED, answers) if answers else None)
    failpoint(Failpoint.API_AFTER_COMMIT)


def _body(trade: StoredTrade) -> str:
    return TradeView.of(trade).model_dump_json()


def _answer(body: str) -> Response:
    return Response(body, status_code=CREATED, media_type="application/json")
