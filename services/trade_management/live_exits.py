"""Exits of trades as exit-api knows them, and holds of their execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

import httpx

from shared.errors import Unavailable
from shared.http.clients import open_client, why_silent
from shared.settings import Settings

TIMEOUT_S = 5.0
PAGE = 200
"""Trades of a request: exit-api takes no more at once."""

Versions = Mapping[UUID, int]
"""Version of each trade after its change."""
NO_VERSIONS: Versions = MappingProxyType({})


class ExitsNotKnown(Unavailable):
    """exit-api does not tell the live exits, or does not hold them."""

    code = "exits_not_known"


@dataclass(frozen=True, slots=True)
class ExitStanding:
    """Whether a trade has a live exit, how much its exits have filled, and whether it was held before the look."""

    is_live: bool
    filled_quantity: int
    was_held: bool = False

    def follows(self, before: ExitStanding) -> bool:
        """Return whether no order was sent and no fill recorded since an earlier look."""
        return self.was_held and self.filled_quantity == before.filled_quantity


class LiveExits(Protocol):
    """Source of live exits. Every method may raise ExitsNotKnown: nothing is known then."""

    def standings(
        self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions = NO_VERSIONS
    ) -> Mapping[UUID, ExitStanding]:
        """Return the standing of each trade; before, hold new orders for so long, or end the holds with 0.

        Holds of trades with a version last until their exits know it.
        """
        ...


class UnknownExits:
    """Nothing is known, as there is no token for exit-api."""

    def standings(
        self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions = NO_VERSIONS
    ) -> Mapping[UUID, ExitStanding]:
        """Raise ExitsNotKnown."""
        del trade_ids, hold_s, versions
        raise ExitsNotKnown("set EXITFLOW_LAST_PRICES_TOKEN: with it exit-api can be asked for exits")


class ExitApiExits:
    """Exits of exit-api over HTTP, with a token of scope execute. Thread-safe."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = open_client(url, {"Authorization": f"Bearer {token}"}, TIMEOUT_S, transport)

    def standings(
        self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions = NO_VERSIONS
    ) -> Mapping[UUID, ExitStanding]:
        """Return the standings, after the hold of all these trades."""
        found: dict[UUID, ExitStanding] = {}
        for first in range(0, len(trade_ids), PAGE):
            found |= self._ask(trade_ids[first : first + PAGE], hold_s, versions)
        return found

    def _ask(self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions) -> Mapping[UUID, ExitStanding]:
        awaited = {str(trade_id): versions[trade_id] for trade_id in trade_ids if trade_id in versions}
        wanted = {"trade_ids": [str(trade_id) for trade_id in trade_ids], "hold_s": hold_s, "versions": awaited}
        try:
            answer = self._client.post("/exits/hold", json=wanted)
        except httpx.HTTPError as error:
            raise ExitsNotKnown(f"exit-api does not answer: {why_silent(error)}") from error
        if answer.status_code == HTTPStatus.FORBIDDEN:
            raise ExitsNotKnown("exit-api answers 403: the token of trade-api needs the scope execute")
        if answer.status_code != HTTPStatus.OK:
            raise ExitsNotKnown(f"exit-api answers {answer.status_code} when asked to hold exits")
        return {
            UUID(item["trade_id"]): ExitStanding(item["is_live"], item["filled_quantity"], item["was_held"])
            for item in answer.json()["items"]
        }


def live_exits_of(settings: Settings) -> LiveExits:
    """Return the source named by the settings."""
    if settings.last_prices_token is None:
        return UnknownExits()
    return ExitApiExits(settings.exit_api_url, settings.last_prices_token.get_secret_value())
