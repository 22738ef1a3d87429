"""State of the processes: what each says at ``/readyz``, and of ``/metrics`` its consumer lag and its leases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import httpx

from services.console.wording import duration, plural
from shared.http.clients import direct
from shared.runtime.catalogue import CONSOLE, EXIT_API, TRADE_API
from shared.runtime.metric_samples import MetricSamples

LIMIT = httpx.Timeout(2.0)
LAG = "consumer_lag_records"
HELD = "outbox_shards_held"
REMAINING = "outbox_lease_remaining_seconds"
WITHOUT_FIGURES = {EXIT_API.name, TRADE_API.name, CONSOLE.name}
"""They read no topic and publish no outbox; the metrics of the APIs need a token."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """State of one process; `state` is `ready`, `not ready` or `no answer`.

    Attributes
    ----------
    figures:
        What it reads and which outboxes it publishes, one phrase each.
    """

    name: str
    state: str
    reasons: list[str]
    figures: list[str] = field(default_factory=list)

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
        self._client = httpx.AsyncClient(timeout=LIMIT, transport=transport, **direct(*self._urls.values()))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def all(self) -> list[Readiness]:
        """Return the state of each process, asked at the same time."""
        return list(await asyncio.gather(*(self._one(name, url) for name, url in self._urls.items())))

    async def _one(self, name: str, url: str) -> Readiness:
        if name in WITHOUT_FIGURES:
            return await self._readiness(name, url)
        said, figures = await asyncio.gather(self._readiness(name, url), self._figures(url))
        return replace(said, figures=figures)

    async def _readiness(self, name: str, url: str) -> Readiness:
        try:
            response = await self._client.get(f"{url}/readyz")
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            return Readiness(name, "no answer", [type(error).__name__])
        said = body.get("notes" if response.is_success else "checks") or {}
        return Readiness(name, "ready" if response.is_success else "not ready", [f"{k}: {v}" for k, v in said.items()])

    async def _figures(self, url: str) -> list[str]:
        """Return the figures of a process; none if it does not answer, which its readiness says."""
        try:
            response = await self._client.get(f"{url}/metrics")
            samples = MetricSamples.parse(response.text if response.is_success else "", (LAG, HELD, REMAINING))
        except (httpx.HTTPError, ValueError):
            return []
        return figures_of(samples)


def figures_of(samples: MetricSamples) -> list[str]:
    """Return the lag of each topic that a process reads, and its leases of each outbox."""
    behind = [
        f"{topic}: {plural(int(records), 'record')} behind" for topic, records in samples.by(LAG, "topic").items()
    ]
    remaining = samples.by(REMAINING, "outbox")
    leases = [
        f"outbox {outbox}: {plural(int(shards), 'shard')} held"
        + (f", leases end in {duration(remaining.get(outbox, 0.0))}" if shards else "")
        for outbox, shards in samples.by(HELD, "outbox").items()
    ]
    return behind + leases
