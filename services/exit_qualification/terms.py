"""Settings of exit qualification in the form of the domain's services."""

from __future__ import annotations

from datetime import timedelta

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from shared.clock import Clock
from shared.settings import Settings


def signal_management(settings: Settings, clock: Clock) -> SignalManagementService:
    """Return a SignalManagementService with the cooldown and lifetime in the settings."""
    terms = ExitTerms(timedelta(seconds=settings.cooldown_s), timedelta(seconds=settings.intent_ttl_s))
    return SignalManagementService(terms, clock, ExitQualificationService())
