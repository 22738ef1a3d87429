"""Charge lines are a document of their closure; `charge_lines` shows them as rows.

Revision ID: V023
Revises: V022
"""

from alembic import op

revision = "V023"
down_revision = "V022"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE trade_closures
  ADD COLUMN lines jsonb NOT NULL DEFAULT '{}',
  ADD CONSTRAINT trade_closures_lines CHECK (lines - ARRAY['ENTRY', 'EXIT'] = '{}');
COMMENT ON COLUMN trade_closures.lines IS 'estimated charges by leg and charge, in rupees; see final_charges';
UPDATE trade_closures
   SET lines = stored.lines
  FROM (SELECT closure_id, jsonb_object_agg(leg, of_leg) AS lines
          FROM (SELECT closure_id, leg, jsonb_object_agg(charge, CAST(amount AS text)) AS of_leg
                  FROM charge_lines GROUP BY closure_id, leg) AS legs
         GROUP BY closure_id) AS stored
 WHERE stored.closure_id = trade_closures.closure_id;
DROP TABLE charge_lines;

CREATE VIEW charge_lines AS
SELECT c.closure_id, leg.name AS leg, line.charge, CAST(line.amount AS numeric(18,4)) AS amount
  FROM trade_closures c
 CROSS JOIN jsonb_each(c.lines) AS leg (name, lines)
 CROSS JOIN jsonb_each_text(leg.lines) AS line (charge, amount);
COMMENT ON VIEW charge_lines IS 'What each closure was estimated to cost, line by line; see final_charges';
GRANT SELECT, INSERT ON charge_lines TO exitflow_trade;

CREATE FUNCTION charge_lines_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = trade_management, pg_temp AS $$
BEGIN
  UPDATE trade_closures
     SET lines = lines || jsonb_build_object(
                   NEW.leg, coalesce(lines -> NEW.leg, '{}') || jsonb_build_object(NEW.charge, CAST(NEW.amount AS text)))
   WHERE closure_id = NEW.closure_id;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION charge_lines_insert IS 'Stores the lines of a trade-fills of the version before';
CREATE TRIGGER charge_lines_insert INSTEAD OF INSERT ON charge_lines
  FOR EACH ROW EXECUTE FUNCTION charge_lines_insert();
"""

DOWNGRADE = """
ALTER VIEW charge_lines RENAME TO lines_of_closures;
CREATE TABLE charge_lines (
  closure_id uuid NOT NULL REFERENCES trade_closures (closure_id),
  leg text NOT NULL CHECK (leg IN ('ENTRY', 'EXIT')),
  charge text NOT NULL,
  amount numeric(18,4) NOT NULL,
  status text NOT NULL DEFAULT 'ESTIMATED' CHECK (status IN ('ESTIMATED', 'FINAL')),
  PRIMARY KEY (closure_id, leg, charge)
);
COMMENT ON TABLE charge_lines IS 'What each closure was estimated to cost, line by line; see final_charges';
GRANT SELECT, INSERT ON charge_lines TO exitflow_trade;
INSERT INTO charge_lines (closure_id, leg, charge, amount) SELECT * FROM lines_of_closures;
DROP VIEW lines_of_closures;
DROP FUNCTION charge_lines_insert();
ALTER TABLE trade_closures DROP COLUMN lines;
"""


def upgrade() -> None:
    """Move the lines into their closures; a view takes the place of the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Make the table again from the lines of the closures."""
    op.execute(DOWNGRADE)
