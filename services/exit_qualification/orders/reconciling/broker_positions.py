"""Positions of an account as the broker shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.exit_qualification.domain.external_fills import missing_quantity
from services.exit_qualification.orders.brokers.port import BrokerPort
from services.exit_qualification.storage.broker_positions import PositionKey
from shared.contracts.vocabulary import ProductType


def positions_by_key(broker: BrokerPort, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
    """Return the net quantities by symbol and product, at least those of `keys`; a missing position is flat.

    Deliveries are read only if a key asks for them: they are another book.

    Raises
    ------
    BrokerUnavailable
        They could not be read completely.
    """
    delivery = any(product == ProductType.CNC.value for _, product in keys)
    return {(it.symbol, it.product_type): it.quantity for it in broker.positions(delivery=delivery)}


def shortfalls(needed: Mapping[PositionKey, int], positions: Mapping[PositionKey, int]) -> dict[PositionKey, int]:
    """Return the account's shortages against its open trades; omit whole positions."""
    missing = {key: missing_quantity(want, positions.get(key, 0)) for key, want in needed.items()}
    return {key: short for key, short in missing.items() if short}
