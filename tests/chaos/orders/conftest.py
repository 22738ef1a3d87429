"""The databases of both services, as their integration tests have them."""

from tests.integration.exit_qualification.conftest import exit_engine
from tests.integration.trade_management.conftest import trade_engine

__all__ = ["exit_engine", "trade_engine"]
