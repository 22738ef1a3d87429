"""A schema in words, with every object a migration can make, for comparing two schemas."""

from __future__ import annotations

import psycopg

QUERIES = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity, generation_expression
          FROM information_schema.columns WHERE table_schema = %(schema)s ORDER BY table_name, ordinal_position""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s ORDER BY 1, 2",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), obj_description(oid), proacl::text
          FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace ORDER BY 1, 2""",
    "triggers": """
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal ORDER BY 1""",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = %(schema)s ORDER BY 1",
    "relations": """
        SELECT relname, relkind::text, reloptions, relacl::text, pg_get_userbyid(relowner), obj_description(oid)
          FROM pg_class WHERE relnamespace = %(schema)s::regnamespace ORDER BY 1""",
    "comments": """
        SELECT c.relname, d.objsubid, d.description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
         WHERE c.relnamespace = %(schema)s::regnamespace ORDER BY 1, 2""",
    "transitions": "SELECT * FROM exit_qualification.exit_intent_transitions ORDER BY 1, 2",
    "revision": "SELECT version_num FROM exit_qualification.alembic_version",
}


def describe_schema(url: str, schema: str) -> dict[str, list[tuple[object, ...]]]:
    """The objects in the schema, by kind."""
    with psycopg.connect(url) as connection:
        return {kind: connection.execute(query, {"schema": schema}).fetchall() for kind, query in QUERIES.items()}
