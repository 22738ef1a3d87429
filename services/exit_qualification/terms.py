"""Settings of exit qualification in the form of the domain's services."""

from __future__ import annotations

from datetime import timedelta

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from shared.clock import Clock
from shared.contracts.vocabulary import ProductType
from shared.settings import Settings


def default_square_off(settings: Settings) -> SquareOff:
    """Return the square-off times where no calendar gives one."""
    return SquareOff({ProductType.MIS: settings.square_off_mis})


def signal_management(settings: Settings, clock: Clock) -> SignalManagementService:
    """Return a SignalManagementService with the cooldown and lifetime in the settings."""
    terms = ExitTerms(timedelta(seconds=settings.cooldown_s), timedelta(seconds=settings.intent_ttl_s))
    return SignalManagementService(terms, clock, ExitQualificationService())
