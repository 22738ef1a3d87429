"""Route: requests of trade management to execute approved exits."""

from __future__ import annotations

from services.exit_qualification.api.context import Context
from services.exit_qualification.api.views import ExecutionAnswer, ExecutionRequest
from services.exit_qualification.storage.execution_requests import tell_requests
from shared.errors import Conflict
from shared.http.auth import Executor
from shared.http.declared_errors import declared
from shared.http.routing import api_router
from shared.settings import Execution

router = api_router(prefix="/exits", tags=["exits"])


class ExecutedHere(Conflict):
    """Exit qualification executes exits by itself."""

    code = "executed_here"


@router.post("/execute", status_code=202, responses=declared(409))
def execute_exits(body: ExecutionRequest, context: Context, _: Executor) -> ExecutionAnswer:
    """Have exit-orders send these approved exits now. Needs scope `execute`.

    Nothing is stored: a request lapses within seconds, so repeat it while an exit is approved. Repeating is harmless.
    Where EXITFLOW_EXECUTION is not trade_management, the answer is 409 `executed_here`.
    """
    if context.execution is not Execution.TRADE_MANAGEMENT:
        raise ExecutedHere("exit qualification executes exits by itself: EXITFLOW_EXECUTION is exit_qualification")
    with context.unit_of_work() as uow:
        told = tell_requests(uow.connection, body.intent_ids)
        uow.commit()
    return ExecutionAnswer(intent_ids=told)
