"""`exitflow faults` asks the paper broker as its control API expects it."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from services.cli.commands import faults
from services.cli.support.paper_broker_client import PaperBrokerClient
from services.paper_broker.faults import FaultRequest
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
CREDENTIALS = {"api_key": "key", "access_token": "token"}


class Broker:
    """One answer to every request, and a list of the requests."""

    def __init__(self, data: object) -> None:
        self.answer = httpx.Response(200, json={"status": "success", "data": data})
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer

    def client(self, *_: object) -> PaperBrokerClient:
        """Return a client of it."""
        return PaperBrokerClient("http://broker", CREDENTIALS, httpx.MockTransport(self))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A paper broker with one rule."""
    rule = {"rule_id": 7, "symbol": "NSE:INFY", "remaining": 2, "effect": {"kind": "lose_postback"}, "removed": 1}
    broker = Broker(rule)
    monkeypatch.setattr(faults, "open_paper_broker", broker.client)
    return broker


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["lose_postback"], {"symbol": None, "count": 1, "effect": {"kind": "lose_postback"}}),
        (
            ["partial_fill", "quantity=40", "rest_after_ms=5", "--symbol", "NSE:INFY", "--count", "3"],
            {
                "symbol": "NSE:INFY",
                "count": 3,
                "effect": {"kind": "partial_fill", "quantity": "40", "rest_after_ms": "5"},
            },
        ),
        (
            ["reject", "message=RMS: no", "--until-removed"],
            {"symbol": None, "count": None, "effect": {"kind": "reject", "message": "RMS: no"}},
        ),
    ],
)
def test_a_fault_is_added_with_its_fields(
    exitflow: Exitflow, broker: Broker, given: list[str], wanted: dict[str, object]
) -> None:
    assert exitflow("faults", "add", *given) == Result(0, "7\n", "")
    (asked,) = broker.asked
    assert (asked.method, asked.url.path) == ("POST", "/paper/faults")
    assert asked.headers["authorization"] == "token key:token"
    assert json.loads(asked.content) == wanted
    assert FaultRequest.model_validate(wanted).effect.kind == given[0], "the broker understands it"


def test_faults_are_listed_and_removed(exitflow: Exitflow, broker: Broker) -> None:
    assert exitflow("faults", "remove", "7").status == 0
    assert exitflow("faults", "remove").status == 0
    assert [asked.url.path for asked in broker.asked] == ["/paper/faults/7", "/paper/faults"]
    broker.answer = httpx.Response(200, json={"status": "success", "data": [broker.answer.json()["data"]]})
    assert "lose_postback" in exitflow("faults", "list").out
    assert json.loads(exitflow("faults", "list", "--json").out)[0]["rule_id"] == 7


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            httpx.Response(400, json={"status": "error", "error_type": "InputException", "message": "no such kind"}),
            "no such kind (400 InputException)",
        ),
        (httpx.Response(200, text="<html>"), "does not answer as a paper broker does"),
        (httpx.Response(502, json=[]), "does not answer as a paper broker does"),
    ],
)
def test_a_refusal_is_one_line(exitflow: Exitflow, broker: Broker, answer: httpx.Response, told: str) -> None:
    broker.answer = answer
    result = exitflow("faults", "add", "explode")
    assert result.status == 1 and told in result.err and len(result.err.splitlines()) == 1


def test_what_is_no_field_is_not_sent(exitflow: Exitflow, broker: Broker) -> None:
    assert exitflow("faults", "add", "reject", "message").status == 2
    assert broker.asked == []


def test_credentials_are_needed_for_a_broker_that_is_no_stacks(exitflow: Exitflow) -> None:
    result = exitflow("faults", "list", "--paper-broker", "http://127.0.0.1:1")
    assert result.status == 2 and "EXITFLOW_BROKER_CREDENTIALS is not set" in result.err
