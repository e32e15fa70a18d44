-- What a statement of an account needs at any length: pages in the order of posting, and balances at any moment from sums
-- by the hour, which the database keeps itself in the transaction that posts (behind the lock on the accounts).
CREATE INDEX ledger_transaction_posted ON ledger_transaction (organization_id, posted_at, id);
CREATE INDEX ledger_transaction_kind ON ledger_transaction (organization_id, kind, posted_at, id);

CREATE TABLE ledger_hourly (
    account_id  bigint NOT NULL REFERENCES ledger_account,
    hour        timestamptz NOT NULL,
    amount_pico numeric(38, 0) NOT NULL,
    PRIMARY KEY (account_id, hour)
);

INSERT INTO ledger_hourly (account_id, hour, amount_pico)
SELECT entry.account_id, date_trunc('hour', transaction.posted_at, 'UTC'), sum(entry.amount_pico)
FROM ledger_entry AS entry JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id
GROUP BY 1, 2;

CREATE FUNCTION sum_by_hour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_hourly (account_id, hour, amount_pico)
    SELECT added.account_id, date_trunc('hour', transaction.posted_at, 'UTC'), sum(added.amount_pico)
    FROM added JOIN ledger_transaction AS transaction ON transaction.id = added.transaction_id
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (account_id, hour) DO UPDATE SET amount_pico = ledger_hourly.amount_pico + excluded.amount_pico;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entry_summed AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sum_by_hour();
