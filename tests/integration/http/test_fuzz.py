"""Every route under generated and hostile requests: a declared answer, never a 5xx.

FUZZ_EXAMPLES sets how many requests are generated for each operation and mode; `make fuzz` sets many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.http.problems import MEDIA_TYPE
from tests.integration.http.conftest import AUTHORIZATION, SCHEMAS, Api
from tests.integration.http.test_routes import operations
from tests.support.hostile import BODIES, CONTENT_TYPES, JSON, TEXTS, VALUES

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
LONG_FORM = EXAMPLES > 3
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def generated(api: Api) -> Iterator[APIOperation]:
    """The API's operations as schemathesis reads them; readiness may answer 503 here."""
    schema = schemathesis.openapi.from_dict(api.app.openapi())
    schema.app = api.app
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path != "/readyz":
            yield operation


@pytest.mark.timeout(3600 if LONG_FORM else 240)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_every_operation_answers_as_it_declares(api: Api, mode: GenerationMode) -> None:
    fuzzed = 0
    for operation in generated(api):
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body or operation.path_parameters):
            continue
        fuzz(operation, mode)
        fuzzed += 1
    assert fuzzed >= 8


def fuzz(operation: APIOperation, mode: GenerationMode) -> None:
    """Send `EXAMPLES` requests to an operation."""

    @given(case=operation.as_strategy(mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not LONG_FORM,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: schemathesis.Case) -> None:
        case.validate_response(case.call(headers=AUTHORIZATION), checks=CHECKS)

    send()


def bodies(api: Api) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path and the fields of the body of each operation with one."""
    schemas = api.app.openapi()["components"]["schemas"]
    for method, path, operation in operations(api):
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            if "$ref" in schema:
                schema = schemas[schema["$ref"].rpartition("/")[2]]
            yield method, path, list(schema["properties"])


def refused(client: TestClient, method: str, path: str, body: bytes, content_type: str = JSON) -> None:
    """Assert a small 4xx problem as the answer to a body."""
    headers = {"Content-Type": content_type.encode("latin-1")}
    answer = client.request(method, path, content=body, headers=headers)
    assert 400 <= answer.status_code < 500, f"{method} {path} {body[:80]!r}: {answer.status_code} {answer.text[:200]}"
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert len(answer.content) < 50_000
    json.loads(answer.content)


def test_a_hostile_body_is_a_problem(api: Api) -> None:
    for method, path, _ in bodies(api):
        for body in BODIES:
            refused(api.client, method, path, body)
        for content_type in CONTENT_TYPES:
            refused(api.client, method, path, b'{"nothing": "\xff"}', content_type)


def test_a_hostile_value_of_any_field_is_a_problem(api: Api) -> None:
    for method, path, fields in bodies(api):
        for value in VALUES:
            # Every field is validated whatever the others are; the unknown one makes each body invalid.
            members = ",".join(f'"{field}": {value}' for field in fields if len(value) < 50_000 or field == fields[0])
            refused(api.client, method, path, f'{{{members}, "unknown": 1}}'.encode())


def test_a_hostile_parameter_is_a_declared_answer(api: Api) -> None:
    for method, path, operation in operations(api):
        names: dict[str, list[str]] = {"query": [], "header": [], "path": []}
        for parameter in operation.get("parameters", ()):
            names[parameter["in"]].append(parameter["name"])
        for text in TEXTS if names["query"] or names["header"] else ():
            query = dict.fromkeys(names["query"], text) if len(text) < 4000 else {"limit": text, "symbol": text}
            headers = dict.fromkeys(names["header"], text.encode())
            answer = api.client.request(method, path, params=query, headers=headers)
            assert 400 <= answer.status_code < 500, f"{method} {path} {text!r}: {answer.text[:200]}"
            assert str(answer.status_code) in operation["responses"]


def test_a_hostile_path_is_a_problem(api: Api) -> None:
    for path, methods in api.app.openapi()["paths"].items():
        if "{" in path:
            before, _, after = path.partition("{")
            for text in TEXTS:
                url = before + quote(text, safe="") + after.partition("}")[2]
                for method in methods:
                    answer = api.client.request(method, url, json={})
                    assert 400 <= answer.status_code < 500, f"{method} {url[:80]}: {answer.text[:200]}"
                    assert answer.headers["content-type"] == MEDIA_TYPE


@given(raw=st.binary(max_size=60))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_token_is_an_error_of_ours(apis: dict[str, Api], raw: bytes) -> None:
    for name in SCHEMAS:
        answer = apis[name].client.get("/outbox", headers={"Authorization": b"Bearer " + raw})
        assert answer.status_code in {401, 400}
