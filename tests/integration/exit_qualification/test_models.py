"""The mappings agree with the migrations."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table, inspect

from services.exit_qualification.models import Base

TABLES = sorted(Base.metadata.tables.values(), key=lambda table: table.name)

UNMAPPED = {"xid"}
"""Columns read and written by the database alone."""


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_types_and_nullability_are_those_of_the_schema(exit_engine: Engine, table: Table) -> None:
    dialect = exit_engine.dialect
    found = {
        column["name"]: (column["type"].compile(dialect), column["nullable"])
        for column in inspect(exit_engine).get_columns(table.name)
        if column["name"] not in UNMAPPED
    }
    assert {column.name: (column.type.compile(dialect), column.nullable) for column in table.columns} == found
