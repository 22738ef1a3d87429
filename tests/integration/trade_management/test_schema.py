"""The mappings and the schedule against the migrated database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table, inspect
from sqlalchemy.dialects import postgresql

from services.trade_management.domain.shipped_charges import SHIPPED
from services.trade_management.models import Base
from services.trade_management.storage.charge_schedules import ChargeScheduleRepository

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not type it


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: str(table.name))
def test_a_mapping_has_the_columns_of_its_table(trade_engine: Engine, table: Table) -> None:
    found = {column["name"]: column for column in inspect(trade_engine).get_columns(table.name)}
    assert set(table.columns.keys()) == set(found)
    for column in table.columns:
        there = found[column.name]
        assert column.type.compile(_DIALECT) == there["type"].compile(_DIALECT), column.name
        assert column.nullable == there["nullable"], column.name
        assert (column.server_default is not None) == (there["default"] is not None), column.name


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: str(table.name))
def test_a_mappings_key_is_unique_in_its_table(trade_engine: Engine, table: Table) -> None:
    inspector = inspect(trade_engine)
    keys = [set(inspector.get_pk_constraint(table.name)["constrained_columns"])]
    keys += [set(unique["column_names"]) for unique in inspector.get_unique_constraints(table.name)]
    assert {column.name for column in table.primary_key} in keys


def test_the_migrated_schedule_is_the_shipped_one(trade_engine: Engine) -> None:
    with trade_engine.connect() as connection:
        migrated = ChargeScheduleRepository(connection).all()
    assert set(migrated.rates) == set(SHIPPED.rates)
