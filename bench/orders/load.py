"""Load on POST /trades: many connections kept open, each sending one request after the other."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.ids import new_id

TIMEOUT_S = 60
Body = dict[str, Any]


def trade(symbol: str, account: str, target: str = "1010.00") -> Body:
    """Return the body of a trade of ten shares."""
    return {
        "symbol": symbol,
        "direction": "LONG",
        "product_type": "MIS",
        "quantity": 10,
        "entry_price": "1000.00",
        "user_broker_id": account,
        "exit_plan": {"target": target, "stop_loss": "900.00"},
    }


def open_trades(url: str, token: str, bodies: Sequence[Body], connections: int) -> tuple[list[str], float]:
    """Open every trade over so many connections; return their ids and the seconds that it took.

    Raises
    ------
    Unavailable
        An answer was not 201.
    """
    shares = [bodies[n::connections] for n in range(connections)]
    ready = threading.Barrier(connections + 1)
    clock = SystemClock()
    with ThreadPoolExecutor(connections) as pool:
        running = [pool.submit(_send, url, token, share, ready) for share in shares]
        ready.wait()
        began = clock.monotonic()
        ids = [trade_id for share in running for trade_id in share.result()]
        return ids, clock.monotonic() - began


def _send(url: str, token: str, bodies: Sequence[Body], ready: threading.Barrier) -> list[str]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_S)
    connection.connect()
    requests = [json.dumps(body).encode() for body in bodies]
    ready.wait()
    ids = []
    try:
        for request in requests:
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(new_id()),
            }
            connection.request("POST", "/trades", request, headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 201:
                raise Unavailable(f"POST /trades: {answer.status} {body[:200]!r}")
            ids.append(json.loads(body)["trade_id"])
    finally:
        connection.close()
    return ids
