"""The committed contracts agree with the code."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from services.contracts.documents import CONTRACTS, documents, text_of, written
from services.contracts.event_schemas import TICK_NAME
from shared.contracts.events import event_classes
from shared.contracts.exits import ExitIntentRejected
from shared.contracts.ticks import Tick
from shared.contracts.topics import ALL_TOPICS
from shared.contracts.vocabulary import Direction, ExitReason
from shared.ids import new_id

Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def written_by_code() -> Documents:
    """Every document by its name; each worker of the suite collects this file and need not write them."""
    return documents()


def test_the_committed_documents_are_current(written_by_code: Documents) -> None:
    old = [name for name, each in written_by_code.items() if (CONTRACTS / name).read_text() != text_of(each)]
    assert old == [], "run `make contracts`"


def test_no_other_document_is_left_lying(written_by_code: Documents) -> None:
    examples = CONTRACTS / "examples"
    files = [file for file in CONTRACTS.rglob("*.json") if examples not in file.parents]
    assert {str(file.relative_to(CONTRACTS)) for file in files} == set(written_by_code)


def test_every_event_and_every_topic_has_its_place(written_by_code: Documents) -> None:
    asyncapi = written_by_code["asyncapi.json"]
    assert {event.__name__ for event in event_classes()} <= set(asyncapi["components"]["messages"])
    assert set(ALL_TOPICS) <= set(asyncapi["channels"])
    assert {f"events/{event.event_type()}.json" for event in event_classes()} <= set(written_by_code)


def test_every_reference_of_the_asyncapi_document_leads_somewhere(written_by_code: Documents) -> None:
    asyncapi = written_by_code["asyncapi.json"]

    def references(node: Any) -> list[str]:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = [node["$ref"]] if isinstance(node, dict) and "$ref" in node else []
        return own + [reference for child in children for reference in references(child)]

    found = references(asyncapi)
    assert found
    for reference in found:
        node = asyncapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_what_goes_on_the_wire_is_what_the_schema_says() -> None:
    rejected = ExitIntentRejected(
        trade_id=new_id(),
        intent_id=new_id(),
        signal_id=new_id(),
        user_broker_id="paper",
        symbol="NSE:INFY",
        direction=Direction.LONG,
        exit_reason=ExitReason.TARGET,
        episode_id=1,
        quantity=100,
        average_price=Decimal("1010.5"),
        client_order_id="A" * 20,
        occurred_at=datetime(2026, 1, 13, tzinfo=UTC),
        errors=[],
    )
    schema = written(f"events/{ExitIntentRejected.event_type()}.json")
    jsonschema.validate(rejected.model_dump(mode="json"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**rejected.model_dump(mode="json"), "average_price": 1010.5}, schema)


def test_a_tick_as_the_design_shows_it_fits_its_schema() -> None:
    tick = {"symbol": "NSE:INFY", "ltp": "1520.35", "ts": "2026-01-13T09:15:00.123Z", "seq": 1}
    jsonschema.validate(tick, written(f"events/{TICK_NAME}.json"))
    assert Tick.model_validate(tick).seq == 1


def test_every_schema_lets_later_versions_add_fields(written_by_code: Documents) -> None:
    schemas = [text_of(each) for name, each in written_by_code.items() if "events/" in name]
    assert schemas
    assert all('"additionalProperties": false' not in schema for schema in schemas)


@pytest.mark.parametrize("name", ["openapi/exit-api.json", "openapi/trade-api.json"])
def test_every_route_but_health_asks_for_a_token(written_by_code: Documents, name: str) -> None:
    for path, methods in written_by_code[name]["paths"].items():
        for method, operation in methods.items():
            guarded = bool(operation.get("security"))
            assert guarded != (path in ("/healthz", "/readyz", "/postbacks/kite")), f"{method} {path}"
