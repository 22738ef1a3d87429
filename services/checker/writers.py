"""Rule 7: who may write trades, as PostgreSQL itself answers."""

from __future__ import annotations

from sqlalchemy import Connection, text

from services.checker.finding import Finding, Rule, finding
from shared.postgres.roles import MIGRATOR, TRADE

TABLES = ("trades", "trade_fills", "trade_closures", "charge_lines")

OTHER_WRITERS = text("""
-- invariants.other_writers: every way counts: own grants, PUBLIC's, a column's, and those of a role it is member of
SELECT format('role %s may %s %s', r.rolname, p.privilege, t.name)
  FROM pg_roles r
 CROSS JOIN unnest(CAST(:tables AS text[])) AS t(name)
 CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p(privilege)
 WHERE NOT r.rolsuper AND r.rolname <> ALL (CAST(:writers AS text[])) AND r.rolname !~ '^pg_'
   AND (has_table_privilege(r.oid, t.name, p.privilege)
        OR (p.privilege IN ('INSERT', 'UPDATE') AND has_any_column_privilege(r.oid, t.name, p.privilege)))
 ORDER BY 1
""")
FOREIGN_OWNERS = text("""
-- invariants.foreign_owners
SELECT format('%s belongs to %s', relname, pg_get_userbyid(relowner))
  FROM pg_class
 WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relname = ANY (CAST(:tables AS text[]))
   AND pg_get_userbyid(relowner) <> :owner
""")


def check_writers(connection: Connection) -> Finding:
    """Check every role except superusers, on the connection's schema."""
    named = {"tables": list(TABLES)}
    others = connection.execute(OTHER_WRITERS, {**named, "writers": [TRADE, MIGRATOR]}).scalars().all()
    owners = connection.execute(FOREIGN_OWNERS, {**named, "owner": MIGRATOR}).scalars().all()
    return finding(Rule.WRITERS, len(TABLES), [*others, *owners])
