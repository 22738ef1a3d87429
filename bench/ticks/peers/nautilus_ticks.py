"""nautilus_trader's backtest engine over the bench's ticks, with one stop order for each trade.

It runs with other packages, and knows nothing of this project: stops and ticks come as JSON on standard input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide, TriggerType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("BENCH")
DIGITS = 4
HUNDRED = Quantity.from_int(100)
ONE = Quantity.from_int(1)
FIRST_NS = 1_768_276_700_000_000_000
"""Before the first tick of the bench: the stops are placed then."""


class Stops(Strategy):  # type: ignore[misc]  # installed beside our packages, not with them
    """Places a stop order for each (symbol, price), once the first prices are known."""

    def __init__(self, instruments: Sequence[Equity], stops: Sequence[tuple[int, float]]) -> None:
        super().__init__()
        self._instruments = instruments
        self._stops = stops

    def on_start(self) -> None:
        """Wait until each instrument has a price."""
        self.clock.set_time_alert_ns("place", FIRST_NS + 1, self._place)

    def _place(self, _: Any) -> None:
        for symbol, price in self._stops:
            order = self.order_factory.stop_market(
                self._instruments[symbol].id,
                OrderSide.SELL,
                HUNDRED,
                Price(price, DIGITS),
                trigger_type=TriggerType.LAST_PRICE,
            )
            self.submit_order(order)


def main() -> int:
    """Place the stops, then run the ticks; print the CPU microseconds of a tick and how many orders are open."""
    given = json.load(sys.stdin)
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),  # it lets 100 orders a second pass
            run_analysis=False,
        )
    )
    engine.add_venue(
        VENUE,
        oms_type=OmsType.HEDGING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(1e12, USD)],
        trade_execution=True,
    )
    instruments = [_instrument(number) for number in range(given["symbols"])]
    for instrument in instruments:
        engine.add_instrument(instrument)
    engine.add_strategy(Stops(instruments, given["stops"]))
    _run(engine, [_tick(each, given["entry"], FIRST_NS, 0) for each in instruments] + [_later(instruments[0], given)])
    ticks = [
        _tick(instruments[symbol], price, ts_us * 1000, seq)
        for seq, (symbol, price, ts_us) in enumerate(given["ticks"])
    ]
    cpu_s = _run(engine, ticks)
    json.dump({"cpu_us": cpu_s / len(ticks) * 1e6, "open": engine.cache.orders_open_count()}, sys.stdout)
    return 0


def _run(engine: BacktestEngine, ticks: Sequence[TradeTick]) -> float:
    """Run these ticks and return the CPU seconds."""
    engine.clear_data()
    engine.add_data(list(ticks), sort=False)
    began_s = time.process_time()
    engine.run(streaming=True)
    return time.process_time() - began_s


def _instrument(number: int) -> Equity:
    symbol = Symbol(f"B{number:04d}")
    return Equity(InstrumentId(symbol, VENUE), symbol, USD, DIGITS, Price(0.0001, DIGITS), ONE, 0, 0)


def _tick(instrument: Equity, price: float, at_ns: int, seq: int) -> TradeTick:
    side = AggressorSide.NO_AGGRESSOR
    return TradeTick(instrument.id, Price(price, DIGITS), ONE, side, TradeId(str(seq)), at_ns, at_ns)


def _later(instrument: Equity, given: dict[str, Any]) -> TradeTick:
    """Return a tick after the placing of the stops."""
    return _tick(instrument, given["entry"], FIRST_NS + 2, 1)


if __name__ == "__main__":
    sys.exit(main())
