"""State of the processes: the answer of each at ``/readyz``, and from ``/metrics`` its consumer lag and its leases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import httpx

from services.console.wording import duration
from shared.http.clients import direct, why_silent
from shared.runtime.catalogue import CONSOLE, EXIT_API, TRADE_API
from shared.runtime.metric_samples import MetricSamples
from shared.wording import plural

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
        Its inputs and the outboxes it publishes, one phrase each.
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
        urls = {name.strip(): url.strip().rstrip("/") for name, _, url in pairs}
        self._processes = [_ProbedProcess(name, url, transport) for name, url in urls.items()]

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(process.client.aclose() for process in self._processes))

    async def all(self) -> list[Readiness]:
        """Return the state of each process, asked at the same time."""
        return list(await asyncio.gather(*(process.state() for process in self._processes)))


class _ProbedProcess:
    """One process; its client is its own, because each request looks at every connection of a shared one."""

    def __init__(self, name: str, url: str, transport: httpx.AsyncBaseTransport | None) -> None:
        self.client = httpx.AsyncClient(timeout=LIMIT, transport=transport, **direct(url))
        self._name = name
        self._url = url

    async def state(self) -> Readiness:
        """Return its readiness with its figures."""
        if self._name in WITHOUT_FIGURES:
            return await self._readiness()
        said, figures = await asyncio.gather(self._readiness(), self._figures())
        return replace(said, figures=figures)

    async def _readiness(self) -> Readiness:
        name = self._name
        try:
            response = await self.client.get(f"{self._url}/readyz")
            body = response.json()
        except httpx.HTTPError as error:
            return Readiness(name, "no answer", [why_silent(error)])
        except ValueError:
            return Readiness(name, "no answer", ["its answer is not JSON"])
        said = body.get("notes" if response.is_success else "checks") or {}
        return Readiness(name, "ready" if response.is_success else "not ready", [f"{k}: {v}" for k, v in said.items()])

    async def _figures(self) -> list[str]:
        """Return the figures; none without an answer: its readiness reports the silence."""
        try:
            response = await self.client.get(f"{self._url}/metrics")
            samples = MetricSamples.parse(response.text if response.is_success else "", (LAG, HELD, REMAINING))
        except (httpx.HTTPError, ValueError):
            return []
        return figures_of(samples)


def figures_of(samples: MetricSamples) -> list[str]:
    """Return the lag of a process on each of its topics, and its leases of each outbox."""
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
