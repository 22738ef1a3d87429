"""What the routes of exit-api work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from services.exit_qualification.kill_switch_service import KillSwitchService
from services.exit_qualification.manual_exit_service import ManualExitService
from shared.broker_hosts import BrokerHosts
from shared.http.context import ApiContext, context_of


@dataclass(frozen=True, kw_only=True)
class ExitApiContext(ApiContext):
    """And what operators' exits are written by, and where brokers may be."""

    manual_exits: ManualExitService
    broker_hosts: BrokerHosts
    kill_switch: KillSwitchService


Context = Annotated[ExitApiContext, Depends(context_of)]
