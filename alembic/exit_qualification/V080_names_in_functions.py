"""Functions find the tables of their schema whatever the session's search_path is. Changes no data.

Revision ID: V080
Revises: V079
"""

from alembic import op

revision = "V080"
down_revision = "V079"
branch_labels = None
depends_on = None

# Without market_phase: it names no table, and with a search_path the planner could not put it in place in views.
FUNCTIONS = """
exit_intents_beside_protective_stop()
exit_intents_check_quantity(uuid[])
exit_intents_guard()
exit_intents_inserted()
exit_intents_to_send()
exit_intents_wants_more()
generate_exit_episode(uuid, text, interval)
generate_exit_episodes(uuid[], text[], interval[])
protective_stops_step()
take_order_budget(text, text, integer, integer, integer, integer)
take_order_budget(text, text, integer, integer, integer, integer, integer, timestamptz)
"""


def upgrade() -> None:
    """Keep the search_path with each function."""
    for function in FUNCTIONS.split("\n")[1:-1]:
        op.execute(f"ALTER FUNCTION {function} SET search_path = exit_qualification, pg_temp")
    op.execute("COMMENT ON COLUMN market_quotes.wanted_of IS 'not used any more: any account is asked'")


def downgrade() -> None:
    """Let the session's search_path decide again."""
    for function in FUNCTIONS.split("\n")[1:-1]:
        op.execute(f"ALTER FUNCTION {function} RESET search_path")
    op.execute(
        "COMMENT ON COLUMN market_quotes.wanted_of IS 'user broker to ask for it, of an open trade of the symbol'"
    )
