"""A ledger on a full disk: calls are answered, nothing is half booked, and it goes on when there is space."""

from __future__ import annotations

from pathlib import Path

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import NetworkException

from services.paper_broker.positions import Entry
from tests.integration.paper_broker.conftest import running_broker
from tests.integration.paper_broker.test_official_client import market_order, the_order
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_until


def test_a_full_ledger_refuses_and_resumes_when_possible(tmp_path: Path) -> None:
    with small_disk(tmp_path, 2) as disk, running_broker(disk.path) as broker:
        kite = broker.client()
        broker.price("NSE:INFY", "1000.00")
        broker.fault({"kind": "delay_fill", "ms": 300})
        delayed = market_order(kite, quantity=5)
        disk.fill()
        refused = _place_until_refused(broker.client())
        disk.free()
        wait_until(lambda: the_order(kite, delayed)["status"] == "COMPLETE", "the delayed fill")
        market_order(kite, quantity=7)
        assert [order["quantity"] for order in kite.orders()] == [5, *[1] * refused, 7]
        broker.enter(Entry("t", "PAPER", "NSE:INFY", "MIS", 1, 10, 0))


def _place_until_refused(kite: KiteConnect) -> int:
    """Fill the room of the ledger's file; return how many orders were accepted before the first refusal."""
    for accepted in range(5000):
        try:
            market_order(kite, quantity=1)
        except NetworkException as error:
            assert error.code == 503
            assert "full" in str(error)
            return accepted
    pytest.fail("the disk was never full")
