"""Concurrent requests of POST /trades: statements of a group, and idempotency within and between groups."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import pytest
from fastapi import Response
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from services.trade_management.api.openings import OpeningRequest, Outcome, open_group
from services.trade_management.api.views import OpenTrade
from services.trade_management.trade_management_service import Opening
from shared.errors import ExitflowError, IdempotencyConflict
from shared.http.conflicts import repeating_conflicts
from shared.http.idempotency import KeyedRequest, keep_answers, request_hash
from shared.ids import new_id
from shared.postgres.hot_path import Answer
from tests.integration.trade_management.ledger import CLOCK, SERVICE, rows, unit_of_work
from tests.integration.trade_management.test_trade_api import BODY
from tests.support.statements import sent_statements, waits

KEEP_ANSWERS = "services.trade_management.api.openings.keep_answers"


def request(key: str | None = None, **other: Any) -> OpeningRequest:
    body = OpenTrade(**BODY | other)
    keyed = None if key is None else KeyedRequest("POST /trades test", key, request_hash(body))
    return OpeningRequest(Opening(body.trade(CLOCK), body.exit_plan), keyed)


def write(engine: Engine, *requests: OpeningRequest) -> list[Outcome]:
    def attempt(group: Sequence[OpeningRequest]) -> list[Outcome]:
        with unit_of_work(engine) as uow:
            return open_group(SERVICE, uow, group)

    outcomes: list[Outcome] = repeating_conflicts(attempt)(requests)
    return outcomes


def status(outcome: Outcome) -> int:
    return outcome.http_status if isinstance(outcome, ExitflowError) else outcome.status_code


def test_statements_do_not_depend_on_the_size_of_a_group(trade_engine: Engine) -> None:
    write(trade_engine, request("warm"))
    counts = []
    for size in (2, 40):
        group = [request(f"{size}-{n}", symbol=f"NSE:S{n}") for n in range(size)]
        with sent_statements() as statements:
            outcomes = write(trade_engine, *group)
        assert {status(outcome) for outcome in outcomes} == {201}
        counts.append(len(statements))
    # lock limit, earlier answers, accounts, trades, answers, numbers, events
    assert counts == [7, 7]


def test_a_group_waits_for_the_server_four_times(trade_engine: Engine) -> None:
    write(trade_engine, request("warm"))
    for size in (2, 40):
        with waits() as waited:
            write(trade_engine, *[request(f"{size}-{n}", symbol=f"NSE:S{n}") for n in range(size)])
        # the known answers; the trades; the answers and the numbers; the events and the commit
        assert len(waited) == 4, waited


def test_a_group_gives_each_request_its_own_verdict(trade_engine: Engine) -> None:
    write(trade_engine, request("old"))
    outcomes = write(
        trade_engine,
        request("old"),
        request("old", quantity=7),
        request("new"),
        request("refused", exit_plan={"target": "990"}),
        request("stranger", user_broker_id="nobody"),
        request(),
    )
    assert [status(outcome) for outcome in outcomes] == [201, 409, 201, 422, 422, 201]
    assert isinstance(outcomes[0], JSONResponse) and outcomes[0].headers["Idempotent-Replay"] == "true"
    assert isinstance(outcomes[1], IdempotencyConflict)
    assert rows(trade_engine, "SELECT count(*) AS n FROM trades") == [{"n": 3}]
    assert rows(trade_engine, "SELECT count(*) AS n FROM outbox_event") == [{"n": 3}]
    assert [row["key"] for row in rows(trade_engine, "SELECT key FROM idempotency_keys ORDER BY key")] == ["new", "old"]


def test_a_refused_request_does_not_burn_its_key(trade_engine: Engine) -> None:
    write(trade_engine, request("k", exit_plan={"target": "990"}), request())
    assert status(*write(trade_engine, request("k"))) == 201


def test_a_key_that_another_process_commits_first_has_one_trade(
    trade_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Outcome] = []
    keep = keep_answers

    def overtaken(*arguments: Any) -> Answer[None]:
        monkeypatch.setattr(KEEP_ANSWERS, keep)
        first.extend(write(trade_engine, request("raced")))
        return keep(*arguments)

    monkeypatch.setattr(KEEP_ANSWERS, overtaken)
    replayed, other = write(trade_engine, request("raced"), request())
    assert isinstance(replayed, JSONResponse)
    assert json.loads(bytes(replayed.body)) == json.loads(bytes(cast(Response, first[0]).body))
    assert status(other) == 201
    assert rows(trade_engine, "SELECT count(*) AS n FROM trades") == [{"n": 2}]


KEYS = st.sampled_from([None, "a", "b", "c"])
QUANTITIES = st.sampled_from([1, 2, 10**12])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(KEYS, QUANTITIES), min_size=1, max_size=5), min_size=1, max_size=4))
def test_groups_answer_as_requests_one_at_a_time(
    trade_engine: Engine, groups: list[list[tuple[str | None, int]]]
) -> None:
    run = new_id().hex
    for group in groups:
        unique = {key or str(nth): (key, quantity) for nth, (key, quantity) in reversed([*enumerate(group)])}
        wanted = [*unique.values()]

        def requests(prefix: str, wanted: list[tuple[str | None, int]] = wanted) -> list[OpeningRequest]:
            return [request(None if key is None else f"{run}{prefix}{key}", quantity=it) for key, it in wanted]

        together = write(trade_engine, *requests("g"))
        alone = [outcome for each in requests("s") for outcome in write(trade_engine, each)]
        assert [status(outcome) for outcome in together] == [status(outcome) for outcome in alone]
    written = rows(trade_engine, "SELECT key FROM idempotency_keys WHERE key LIKE :run", run=f"{run}%")
    kept = Counter(row["key"][len(run)] for row in written)
    assert kept["g"] == kept["s"]
