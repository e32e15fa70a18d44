-- The order of the ledger for those who follow it. Ids are given when a transaction begins and seen when it commits, in
-- another order: a follower of ids, or of moments, would pass over what commits late. So a posting first stands among
-- the unplaced, in the transaction that posts it, and takes the next place once it is seen (`store/feeds.py`).

CREATE TABLE ledger_unplaced (
    transaction_id bigint PRIMARY KEY REFERENCES ledger_transaction
);

CREATE TABLE ledger_place (
    position        bigint PRIMARY KEY,        -- 1, 2, 3 … without a gap.
    transaction_id  bigint NOT NULL UNIQUE REFERENCES ledger_transaction,
    organization_id text NOT NULL,
    placed_at       timestamptz NOT NULL       -- Never goes back: a day that is over gets no more places.
);
CREATE INDEX ledger_place_moment ON ledger_place (placed_at, position);
CREATE INDEX ledger_place_organization ON ledger_place (organization_id, position);
CREATE TRIGGER ledger_place_append_only BEFORE UPDATE OR DELETE ON ledger_place FOR EACH ROW EXECUTE FUNCTION refuse_change();

INSERT INTO ledger_place (position, transaction_id, organization_id, placed_at)
SELECT row_number() OVER (ORDER BY id), id, organization_id, max(posted_at) OVER (ORDER BY id) FROM ledger_transaction;

CREATE FUNCTION stand_unplaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_unplaced (transaction_id) SELECT id FROM posted;
    RETURN NULL;
END $$;

-- By the database itself, whoever posts: nothing gets into the ledger beside the feed.
CREATE TRIGGER ledger_transaction_unplaced AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION stand_unplaced();

-- A page begins within the charges of one transaction.
DROP INDEX charge_transaction;
CREATE INDEX charge_transaction ON charge (transaction_id, event_id);
