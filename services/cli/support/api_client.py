"""HTTP as the commands speak it: a token, an Idempotency-Key on every POST, problems as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from services.cli.support.answers import Fields, read_answer
from shared.errors import ExitflowError, InvalidInput, Unavailable
from shared.http.clients import open_client, why_silent
from shared.ids import new_id

TIMEOUT_S = 15
PAGE_LIMIT = 200
Json = dict[str, Any]
_ADVICE: Final[dict[int, str]] = {
    httpx.codes.UNAUTHORIZED: "EXITFLOW_PUBLIC_TOKEN names the token, `exitflow tokens create` makes one",
    httpx.codes.FORBIDDEN: "`exitflow tokens show` names the token and its scopes",
    httpx.codes.UNPROCESSABLE_ENTITY: "`--help` lists the options",
    httpx.codes.TOO_MANY_REQUESTS: "wait a second, then repeat it",
}
_ABOUT_STATE: Final = frozenset(
    {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED, httpx.codes.PRECONDITION_REQUIRED}
)
_LISTS: Final = {
    "trades": "trades list",
    "charges": "trades list",
    "exits": "exits list",
    "protective-stops": "exits stops",
    "brokers": "accounts list",
    "corporate-actions": "corporate-actions list",
    "outbox": "outbox status",
    "instruments": "instruments status",
    "prices": "instruments status",
    "calendars": "calendar list",
    "kill-switch": "exits kill-switch",
    "rollout": "exits rollout",
}
"""The command with the present state, by the first part of a path."""
_ELSE: Final = "`exitflow doctor` looks for the cause"


class Refused(ExitflowError):
    """The API answered with a problem.

    Attributes
    ----------
    found:
        The message without the advice at its end.
    """

    code = "refused"

    def __init__(self, status: int, problem_code: str, detail: str, advice: str = "") -> None:
        self.found = f"{detail} ({status} {problem_code})"
        super().__init__(f"{self.found}; {advice}" if advice else self.found)
        self.status = status
        self.problem_code = problem_code


def path_of(path: str, *names: str) -> str:
    """Return a path with names in the place of its ``{}``; each stays one part of the path, whatever is in it.

    Raises
    ------
    InvalidInput
        A name is empty, or of dots alone: the path would be another one.
    """
    if not all(name.strip(".") for name in names):
        raise InvalidInput(f"an id or a name is missing in {path}")
    return path.format(*(quote(name, safe="") for name in names))


class ApiClient:
    """One API of the system.

    Parameters
    ----------
    root_url:
        Where it answers.
    token:
        Bearer token; without one the API will say so.
    transport:
        Carries the requests; by default the network.
    timeout_s:
        Longest wait for an answer.
    """

    def __init__(
        self,
        root_url: str,
        token: str | None,
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._root_url = root_url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = open_client(root_url, headers, timeout_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Json:
        """Return the resource; omit query parameters of None."""
        return self._ask("GET", path, params=_given(query))

    def get_text(self, path: str, **query: Any) -> str:
        """Return the resource as text; omit query parameters of None."""
        return self._answer("GET", path, params=_given(query)).text

    def post(self, path: str, body: Json, key: str | None = None) -> Json:
        """Post and return the result; `key` is the Idempotency-Key, a new one by default."""
        return self._ask("POST", path, json=body, headers={"Idempotency-Key": key or str(new_id())})

    def put(self, path: str, body: Json) -> Json:
        """Replace the resource and return it."""
        return self._ask("PUT", path, json=body)

    def patch(self, path: str, body: Json, if_match: str) -> Json:
        """Change the resource at the version of an entity tag and return it."""
        return self._ask("PATCH", path, json=body, headers={"If-Match": if_match})

    def items(self, path: str, limit: int | None = None, **query: Any) -> Iterator[Json]:
        """Yield the items of a list, page by page, `limit` at most."""
        left, cursor = limit, None
        while left is None or left > 0:
            page = self.get(path, cursor=cursor, limit=min(PAGE_LIMIT, left or PAGE_LIMIT), **query)
            yield from page["items"][:left]
            left = None if left is None else left - len(page["items"])
            cursor = page.get("next")
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **options: Any) -> Json:
        return _body(self._answer(method, path, **options))

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            silence = f"{self._root_url} does not answer: {why_silent(error)}"
            raise Unavailable(silence + _doubt(method, path, error)) from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Unavailable(str(_refusal(response, "")))
        if not response.is_success:
            raise _refusal(response, _advice(response.status_code, path))
        return response


def _given(query: Json) -> Json:
    return {name: value for name, value in query.items() if value is not None}


def _body(response: httpx.Response) -> Json:
    try:
        body = read_answer(response.content, f"the answer of {response.url}")
    except ValueError as error:
        raise Unavailable(f"{response.url} did not answer with JSON; check the address") from error
    if not isinstance(body, Fields):
        raise Unavailable(f"{response.url} did not answer with a JSON object; check the address")
    return body


def _doubt(method: str, path: str, error: httpx.HTTPError) -> str:
    """Return a warning if the request may have been carried out; a time-out is not an outcome."""
    if method == "GET" or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ""
    shown = _LISTS.get(path.split("/")[1], "doctor")
    return f"; whether it was done is not known: look with `exitflow {shown}` before you repeat it"


def _advice(status: int, path: str) -> str:
    """Return the next step after a refused request."""
    shown = _LISTS.get(path.split("/")[1])
    if status in _ABOUT_STATE and shown is not None:
        return f"`exitflow {shown}` shows the present state"
    return _ADVICE.get(status, _ELSE)


def _refusal(response: httpx.Response, advice: str) -> Refused:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"code": "no_problem_document", "detail": response.reason_phrase}
    detail = str(problem.get("detail") or problem.get("title") or "refused")
    wrong = "; ".join(f"{item.get('field')}: {item.get('message')}" for item in problem.get("errors", ()))
    return Refused(response.status_code, str(problem.get("code")), f"{detail}: {wrong}" if wrong else detail, advice)
