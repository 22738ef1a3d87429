"""Dependencies of the routes of trade-api."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from services.trade_management.api.market_questions import MarketQuestions
from services.trade_management.api.openings import Openings
from services.trade_management.charge_finalisation_service import ChargeFinalisationService
from services.trade_management.corporate_action_service import CorporateActionService
from services.trade_management.markets import Markets
from services.trade_management.trade_management_service import TradeManagementService
from shared.http.context import ApiContext, context_of


@dataclass(frozen=True, kw_only=True)
class TradeApiContext(ApiContext):
    """API context with the services for writing trades, and the markets for checking plans.

    Attributes
    ----------
    openings:
        Groups of openings.
    market_questions:
        Questions of concurrent openings to `markets`.
    """

    service: TradeManagementService
    openings: Openings
    charge_finalisation: ChargeFinalisationService
    corporate_actions: CorporateActionService
    markets: Markets
    market_questions: MarketQuestions


Context = Annotated[TradeApiContext, Depends(context_of)]
