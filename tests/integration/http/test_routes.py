"""Rules for every route: query parameters, methods, redirects, errors in the contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from shared.clock import TRADING_ZONE
from shared.http.problems import MEDIA_TYPE
from shared.http.routing import ApiRoute
from shared.ids import new_id
from tests.integration.http.conftest import AUTHORIZATION, Api

Operation = tuple[str, str, dict[str, Any]]


def operations(api: Api) -> Iterator[Operation]:
    """Every operation of the OpenAPI document: method, path with its parameters filled in, description."""
    for path, methods in api.app.openapi()["paths"].items():
        filled = path.replace("{shard}", "1").replace("{user_broker_id}", "paper")
        for name in ("{intent_id}", "{trade_id}"):
            filled = filled.replace(name, str(new_id()))
        for method, operation in methods.items():
            yield method.upper(), filled, operation


def test_every_route_checks_its_query_and_repeats_conflicts(api: Api) -> None:
    routes = [context.original_route for context in iter_route_contexts(api.app.routes)]
    assert len(routes) >= 14
    assert {type(route) for route in routes} == {ApiRoute}


def test_an_unknown_query_parameter_is_named(api: Api) -> None:
    for method, path, _ in operations(api):
        answer = api.client.request(method, path, params={"trade_idd": "1", "limit ": "2"})
        assert answer.status_code == 422, f"{method} {path}"
        assert [error["field"] for error in answer.json()["errors"]] == ["query.trade_idd", "query.limit "]


def test_a_repeated_query_parameter_is_named(api: Api) -> None:
    for method, path, operation in operations(api):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                name = parameter["name"]
                answer = api.client.request(method, path, params=[(name, "1"), (name, "1")])
                assert answer.status_code == 422
                assert answer.json()["errors"][0] == {"field": f"query.{name}", "message": "given 2 times"}


def test_thousands_of_unknown_query_parameters_get_a_short_answer(api: Api) -> None:
    answer = api.client.get("/outbox?" + "&".join(f"{n:x}" for n in range(5000)))
    assert answer.status_code == 422
    assert len(answer.content) < 16_000


def test_another_method_is_answered_405_with_the_methods_there_are(api: Api) -> None:
    by_path: dict[str, set[str]] = {}
    for path, methods in api.app.openapi()["paths"].items():
        by_path[path.replace("{shard}", "1").replace("{intent_id}", str(new_id()))] = {
            method.upper() for method in methods
        }
    for path, methods in by_path.items():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "FOO"):
            if method in methods:
                continue
            answer = api.client.request(method, path)
            assert answer.status_code == 405, f"{method} {path}"
            assert set(answer.headers["allow"].split(", ")) == methods
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert method == "HEAD" or answer.json()["code"] == "method_not_allowed"


def test_no_answer_is_a_redirect(api: Api) -> None:
    for method, path, _ in operations(api):
        answer = api.client.request(method, f"{path}/", headers={"Host": "evil.example"}, follow_redirects=False)
        assert answer.status_code in {404, 405}, f"{method} {path}/"
        assert "location" not in answer.headers
        assert "evil.example" not in answer.text
        assert answer.headers["content-type"] == MEDIA_TYPE


def test_every_error_answer_is_declared_with_its_content_type(api: Api) -> None:
    for method, path, operation in operations(api):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"400", "413", "422", "500", "503"} <= errors.keys(), f"{method} {path}"
        assert ("401" in errors) == ("security" in operation)
        for answer in errors.values():
            assert answer["content"] == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.mark.parametrize("key", ["", "a b", "ü", "\x7f", "\x00", "x" * 256])
def test_an_idempotency_key_has_bounded_length_and_characters(apis: dict[str, Api], key: str) -> None:
    headers = {**AUTHORIZATION, "Idempotency-Key": key.encode("latin-1")}
    for api, path in ((apis["trade-api"], "/trades"), (apis["exit-api"], "/exits")):
        answer = api.client.post(path, json={}, headers=headers)
        assert answer.status_code == 422
        assert "header.Idempotency-Key" in {error["field"] for error in answer.json()["errors"]}


def test_only_exit_side_says_retry_for_unknown_trade(apis: dict[str, Api]) -> None:
    body = {"trade_id": str(new_id()), "reason_note": "x"}
    exit_side = apis["exit-api"].client.post("/exits", json=body)
    assert (exit_side.status_code, exit_side.json()["retryable"]) == (404, True)
    assert exit_side.headers["retry-after"] == "1"
    for api, path in ((apis["exit-api"], "/exits"), (apis["trade-api"], "/trades")):
        answer = api.client.get(f"{path}/{new_id()}")
        assert (answer.status_code, answer.json()["retryable"]) == (404, False)


def test_caller_learns_name_and_scopes_of_token(api: Api) -> None:
    answer = api.client.get("/whoami", headers=AUTHORIZATION)
    assert answer.json() == {"name": "alma", "scopes": ["admin", "execute", "operate", "read", "trade"]}
    assert api.client.get("/whoami", headers={"Authorization": "Bearer another"}).status_code == 401


def test_the_audit_log_is_paged_newest_first(api: Api) -> None:
    reasons = [f"look {number}" for number in range(3)]
    for reason in reasons:
        answer = api.client.post("/outbox/shards/1/pause", json={"reason": reason}, headers=AUTHORIZATION)
        assert answer.status_code == 200
    first = api.client.get("/audit", params={"limit": 2}, headers=AUTHORIZATION).json()
    rest = api.client.get("/audit", params={"limit": 1, "cursor": first["next"]}, headers=AUTHORIZATION).json()
    found = [*first["items"], *rest["items"]]
    assert [entry["reason"] for entry in found] == reasons[::-1]
    assert {(entry["actor"], entry["action"], entry["subject"]) for entry in found} == {
        ("alma", "outbox.pause", "shard 1")
    }
    assert found[0]["after"] == {"paused": True}


def test_the_audit_log_is_filtered_by_actor_and_day(api: Api) -> None:
    for shard in (1, 2):
        body = {"reason": f"look {shard}"}
        api.client.post(f"/outbox/shards/{shard}/pause", json=body, headers=AUTHORIZATION).raise_for_status()

    def reasons(**query: str) -> list[str]:
        answer = api.client.get("/audit", params=query, headers=AUTHORIZATION)
        return [entry["reason"] for entry in answer.json()["items"]]

    (newest,) = api.client.get("/audit", params={"limit": 1}, headers=AUTHORIZATION).json()["items"]
    day = datetime.fromisoformat(newest["at"]).astimezone(TRADING_ZONE).date()
    assert reasons(actor="alma", day=str(day))[:2] == ["look 2", "look 1"]
    assert reasons(actor="risk-desk") == reasons(day=str(day - timedelta(days=7))) == []
    assert api.client.get("/audit", params={"day": "soon"}, headers=AUTHORIZATION).status_code == 422
