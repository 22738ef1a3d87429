"""Positions of an account as the broker shows them."""

from __future__ import annotations

from typing import Final

from services.exit_qualification.orders.brokers.port import BrokerPort
from services.exit_qualification.storage.broker_positions import PositionKey
from shared.contracts.vocabulary import ProductType

CNC: Final = ProductType.CNC.value


def positions_by_key(broker: BrokerPort, *, delivery: bool) -> dict[PositionKey, int]:
    """Return the net quantities by symbol and product; a position that is not there is flat.

    Raises
    ------
    BrokerUnavailable
        They could not be read completely.
    """
    return {(it.symbol, it.product_type): it.quantity for it in broker.positions(delivery=delivery)}
