"""Identifiers."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import client_order_id, new_id, new_traceparent


def test_new_ids_are_version_7_and_in_order() -> None:
    made = [new_id() for _ in range(1000)]
    assert all(type(one) is UUID and one.version == 7 for one in made)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(st.uuids())
def test_client_order_id_is_stable_and_valid_broker_tag(intent_id: UUID) -> None:
    tag = client_order_id(intent_id)
    assert len(tag) == 20
    assert tag.isalnum()
    assert tag == tag.upper() == client_order_id(intent_id)


def test_a_traceparent_has_the_form_of_w3c() -> None:
    version, trace, span, flags = new_traceparent().split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
