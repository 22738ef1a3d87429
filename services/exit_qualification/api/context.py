"""Dependencies of the routes of exit-api."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from services.exit_qualification.account_loss_service import AccountLossService
from services.exit_qualification.bulk_exit_service import BulkExitService
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.exit_resolution_service import ExitResolutionService
from services.exit_qualification.exit_withdrawal_service import ExitWithdrawalService
from services.exit_qualification.kill_switch_service import KillSwitchService
from services.exit_qualification.manual_exit_service import ManualExitService
from services.exit_qualification.orders.brokers.kite.postbacks import PostbackSecrets
from shared.broker_hosts import BrokerHosts
from shared.http.context import ApiContext, context_of
from shared.http.rate_limits import RateLimiter
from shared.settings import Execution


@dataclass(frozen=True, kw_only=True)
class ExitApiContext(ApiContext):
    """API context with the services for manual exits, the allowed broker hosts and the default square-off times."""

    manual_exits: ManualExitService
    broker_hosts: BrokerHosts
    kill_switch: KillSwitchService
    square_off: SquareOff
    resolutions: ExitResolutionService
    withdrawals: ExitWithdrawalService
    bulk_exits: BulkExitService
    account_losses: AccountLossService
    postback_secrets: PostbackSecrets
    postback_limits: RateLimiter
    execution: Execution


Context = Annotated[ExitApiContext, Depends(context_of)]
