-- Days of the feed that are over: what is placed afterwards is placed later, whatever the clock says by then.

CREATE TABLE ledger_day (
    day           date PRIMARY KEY,          -- In UTC. One that is not here and is before one that is, is over too.
    last_position bigint NOT NULL,           -- Of all that was placed before its end.
    closed_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER ledger_day_append_only BEFORE UPDATE OR DELETE ON ledger_day FOR EACH ROW EXECUTE FUNCTION refuse_change();
