"""Approved exits of exit-api, and requests to execute them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

import httpx

from shared.contracts.vocabulary import IntentStatus
from shared.errors import Unavailable
from shared.http.clients import open_client, why_silent

TIMEOUT_S = 5.0
PAGE = 200
"""Exits of a page, and of a request: exit-api takes no more at once."""


class ExitsNotExecuted(Unavailable):
    """exit-api does not tell the approved exits, or does not take requests to execute them."""

    code = "exits_not_executed"


@dataclass(frozen=True, slots=True)
class ApprovedExit:
    """Exit approved by exit qualification and not sent."""

    intent_id: UUID
    trade_id: UUID
    quantity: int

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Return the exit of an item of exit-api."""
        return cls(UUID(item["intent_id"]), UUID(item["trade_id"]), item["quantity"])


class ApprovedExits:
    """Exits of exit-api over HTTP, with a token of scopes read and execute. Not thread-safe.

    Every method may raise ExitsNotExecuted.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = open_client(url, {"Authorization": f"Bearer {token}"}, TIMEOUT_S, transport)

    def pages(self) -> Iterator[list[ApprovedExit]]:
        """Yield the approved exits, oldest first, a page at a time; without record-only ones."""
        wanted: dict[str, Any] = {"status": IntentStatus.APPROVED.value, "gates": "held", "limit": PAGE}
        while True:
            page = self._answer("GET", "/exits/pending", HTTPStatus.OK, params=wanted)
            yield [ApprovedExit.of(item) for item in page["items"] if item["executable"]]
            if page["next"] is None:
                return
            wanted["cursor"] = page["next"]

    def execute(self, exits: Sequence[ApprovedExit]) -> None:
        """Ask for the execution of at most `PAGE` exits; those no longer approved are left out there."""
        ids = [str(each.intent_id) for each in exits]
        self._answer("POST", "/exits/execute", HTTPStatus.ACCEPTED, json={"intent_ids": ids})

    def _answer(self, method: str, path: str, expected: HTTPStatus, **request: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ExitsNotExecuted(f"exit-api does not answer: {why_silent(error)}") from error
        if answer.status_code != expected:
            raise ExitsNotExecuted(f"exit-api answers {answer.status_code} to {method} {path}: {answer.text[:200]}")
        content: dict[str, Any] = answer.json()
        return content
