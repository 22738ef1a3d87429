"""HTTP for those who play on while parts of a system are killed under them."""

from __future__ import annotations

from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from services.cli.support.api_client import ApiClient, Json, Refused
from shared.errors import Unavailable

PATIENCE_S = 90
_PASSING = frozenset({429, 502, 503, 504})


class RetryingApiClient(ApiClient):
    """One API of the system, asked again for `PATIENCE_S` while it is away; a POST keeps its Idempotency-Key."""

    def _ask(self, method: str, path: str, **options: Any) -> Json:
        patience = Retrying(
            retry=retry_if_exception(_will_pass),
            stop=stop_after_delay(PATIENCE_S),
            wait=wait_exponential_jitter(initial=0.1, max=2),
            reraise=True,
        )
        return patience(super()._ask, method, path, **options)


def _will_pass(error: BaseException) -> bool:
    return isinstance(error, Unavailable) or (isinstance(error, Refused) and error.status in _PASSING)
