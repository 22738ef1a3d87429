"""Readiness of the processes, as each says of itself at ``/readyz``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

LIMIT = httpx.Timeout(2.0)


@dataclass(frozen=True, slots=True)
class Readiness:
    """State of one process; `state` is `ready`, `not ready` or `no answer`."""

    name: str
    state: str
    reasons: list[str]

    @property
    def tone(self) -> str:
        """Return the tone of the state."""
        return {"ready": "good", "not ready": "warn"}.get(self.state, "bad")


class ProcessProbes:
    """The processes of the setting EXITFLOW_CONSOLE_PROCESSES.

    Parameters
    ----------
    setting:
        `name=URL`, comma separated.
    transport:
        Carries the requests; the network by default.
    """

    def __init__(self, setting: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        pairs = (entry.partition("=") for entry in setting.split(",") if entry)
        self._urls = {name.strip(): url.strip().rstrip("/") for name, _, url in pairs}
        self._client = httpx.AsyncClient(timeout=LIMIT, transport=transport, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def all(self) -> list[Readiness]:
        """Return the state of each process, asked at the same time."""
        return list(await asyncio.gather(*(self._one(name, url) for name, url in self._urls.items())))

    async def _one(self, name: str, url: str) -> Readiness:
        try:
            response = await self._client.get(f"{url}/readyz")
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            return Readiness(name, "no answer", [type(error).__name__])
        said = body.get("notes" if response.is_success else "checks") or {}
        return Readiness(name, "ready" if response.is_success else "not ready", [f"{k}: {v}" for k, v in said.items()])
