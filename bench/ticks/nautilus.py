"""nautilus_trader's engine as a peer: the same ticks, and a stop order for the stop of each trade."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from bench.relay.peer_packages import peer_python
from bench.ticks.market import ENTRY, SYMBOLS, Step, stop_of
from shared.errors import Unavailable
from shared.money import SCALE

PEERS = Path(__file__).resolve().parent / "peers"
MOST_TRADES = 100_000
"""It takes a quarter of a millisecond to place an order."""
MOST_TICKS = 20_000
_LIMIT_S = 240


def nautilus_us(trades: int, ticks: Sequence[Step]) -> float:
    """Return its CPU microseconds for a tick without a reached stop, with so many open trades."""
    given = {
        "symbols": SYMBOLS,
        "entry": ENTRY / SCALE,
        "stops": [(number % SYMBOLS, stop_of(number) / SCALE) for number in range(trades)],
        "ticks": [(each.symbol, each.price / SCALE, each.ts_us) for each in islice(ticks, MOST_TICKS)],
    }
    argv = [str(peer_python(PEERS / "requirements.txt")), str(PEERS / "nautilus_ticks.py")]
    answer = subprocess.run(
        argv, input=json.dumps(given), capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if answer.returncode != 0:
        raise Unavailable(f"nautilus_trader: {answer.stderr.strip()[-300:]}")
    found = json.loads(answer.stdout)
    if found["open"] != trades:
        raise Unavailable(f"nautilus_trader holds {found['open']} of {trades} stop orders")
    return float(found["cpu_us"])
