"""HTTP to one API with an operator's token; every failure becomes a sentence with advice."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from shared.errors import ExitflowError
from shared.http.clients import direct, why_silent

TIMEOUT = httpx.Timeout(8.0, connect=2.0)
PATIENCE_S = 1.0
"""Without an answer for so long, the API is asked whether it is alive: it answers `/healthz` within a second."""
ALIVE = httpx.Timeout(1.0)
CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
Json = dict[str, Any]

ADVICE = {
    401: "Sign in again with a valid token.",
    403: "Ask an administrator for a token with the scope named above.",
    404: "It may have been removed or never existed; check the id.",
    409: "Read the current state below, then decide again.",
    422: "Correct the input and send it again.",
    429: "Wait a few seconds; the token has used up its requests.",
    503: "Nothing was changed by this request. Try again in a few seconds, then look at the System page.",
}
UNEXPECTED = "Look at the log of the service; the console changed nothing by itself."


class ApiFault(ExitflowError):
    """An API did not do as asked.

    Attributes
    ----------
    api:
        Name of the API.
    status:
        Its HTTP status; None if it did not answer.
    advice:
        Sentence with the operator's next step.
    problem:
        The problem document, empty if there was none.
    """

    code = "api_fault"
    http_status = 502

    def __init__(self, api: str, status: int | None, message: str, advice: str, problem: Json | None = None) -> None:
        super().__init__(message)
        self.api = api
        self.status = status
        self.advice = advice
        self.problem = problem or {}

    @property
    def is_down(self) -> bool:
        """Return True if the API could not be reached, or cannot work now."""
        return self.status is None or self.status in (502, 503, 504)


class Api:
    """One API of the system, asked with the token of each caller.

    Parameters
    ----------
    name:
        Name of the process, for messages.
    root_url:
        Address of the API.
    transport:
        Carries the requests; the network by default.
    """

    def __init__(self, name: str, root_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = name
        self._client = httpx.AsyncClient(
            base_url=root_url,
            timeout=TIMEOUT,
            limits=CONNECTIONS,
            transport=transport,
            **direct(root_url),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, token: str, path: str, **query: Any) -> Json:
        """Return a resource; query parameters of None are left out.

        Raises
        ------
        ApiFault
            The API did not answer, or refused.
        """
        wanted = {name: value for name, value in query.items() if value not in (None, "")}
        return await self._ask(token, "GET", path, params=wanted)

    async def post(self, token: str, path: str, body: Json, *, key: str | None = None) -> Json:
        """Post and return the result; `key` becomes the Idempotency-Key.

        Raises
        ------
        ApiFault
            The API did not answer, or refused.
        """
        return await self._ask(token, "POST", path, json=body, headers={"Idempotency-Key": key} if key else {})

    async def put(self, token: str, path: str, body: Json) -> Json:
        """Replace a resource and return it.

        Raises
        ------
        ApiFault
            The API did not answer, or refused.
        """
        return await self._ask(token, "PUT", path, json=body)

    async def _ask(self, token: str, method: str, path: str, **options: Any) -> Json:
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        try:
            response = await self._answer(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(method, error) from error
        if not response.is_success:
            raise self._refused(response)
        try:
            body: Json = response.json()
        except ValueError as error:
            raise ApiFault(
                self.name, response.status_code, f"{self.name} did not answer with JSON.", UNEXPECTED
            ) from error
        return body

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer; a slow one is waited for as long as the API is alive. A frozen API is told within 2 s."""
        request = asyncio.ensure_future(self._client.request(method, path, **options))
        try:
            answered, _ = await asyncio.wait({request}, timeout=PATIENCE_S)
            if not answered:
                await self._client.get("/healthz", timeout=ALIVE)
            return await request
        finally:
            request.cancel()

    def _unreachable(self, method: str, error: httpx.HTTPError) -> ApiFault:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ApiFault(self.name, None, f"{self.name} cannot be reached.", "Check whether the process runs.")
        message = f"{self.name} did not answer ({why_silent(error)})."
        if method == "GET":
            return ApiFault(self.name, None, message, "Try again; if it stays so, look at the System page.")
        advice = "The outcome of this request is not known. Look at the current state before you send it again."
        return ApiFault(self.name, None, message, advice)

    def _refused(self, response: httpx.Response) -> ApiFault:
        status = response.status_code
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            return ApiFault(self.name, status, f"{self.name} answered {status}.", ADVICE.get(status, UNEXPECTED))
        detail = str(problem.get("detail") or problem.get("title") or f"answered {status}")
        wrong = "; ".join(f"{item.get('field')}: {item.get('message')}" for item in problem.get("errors") or ())
        message = f"{self.name}: {detail}" + (f" ({wrong})" if wrong else "")
        return ApiFault(self.name, status, message, ADVICE.get(status, UNEXPECTED), problem)
