-- Double entry: transactions by reference, their entries, the balances of accounts.

-- name: insert_transactions
-- Those whose reference is new come back; the others were posted before.
INSERT INTO ledger_transaction (reference, kind, organization_id, currency, memo)
SELECT given.reference, given.kind, given.organization_id, given.currency, given.memo
FROM jsonb_to_recordset(:transactions::jsonb)
    AS given (reference text, kind text, organization_id text, currency text, memo text)
ORDER BY given.reference
ON CONFLICT (reference) DO NOTHING
RETURNING id, reference;

-- name: insert_accounts!
INSERT INTO ledger_account (organization_id, kind, currency)
SELECT DISTINCT given.organization_id, given.account, given.currency
FROM jsonb_to_recordset(:entries::jsonb) AS given (organization_id text, currency text, account text)
ORDER BY given.organization_id, given.account, given.currency
ON CONFLICT DO NOTHING;

-- name: lock_accounts!
-- Always in this order, so that two transactions never wait for each other.
SELECT id FROM ledger_account WHERE organization_id = ANY (:organizations) ORDER BY id FOR UPDATE;

-- name: insert_entries!
WITH given AS (
    SELECT account.id AS account_id, given_entry.transaction_id, given_entry.amount_pico
    FROM jsonb_to_recordset(:entries::jsonb) AS given_entry
        (transaction_id bigint, organization_id text, currency text, account text, amount_pico numeric)
    JOIN ledger_account AS account
        ON (account.organization_id, account.kind, account.currency)
         = (given_entry.organization_id, given_entry.account, given_entry.currency)
), inserted AS (
    INSERT INTO ledger_entry (transaction_id, account_id, amount_pico)
    SELECT transaction_id, account_id, amount_pico FROM given
    RETURNING account_id, amount_pico
)
UPDATE ledger_account AS account SET balance_pico = account.balance_pico + moved.amount_pico
FROM (SELECT account_id, sum(amount_pico) AS amount_pico FROM inserted GROUP BY account_id) AS moved
WHERE account.id = moved.account_id;

-- name: balances
SELECT kind, currency, balance_pico FROM ledger_account WHERE organization_id = :organization_id ORDER BY currency, kind;

-- name: transaction_by_reference^
SELECT transaction.id, transaction.kind, transaction.organization_id, transaction.currency, entry.amount_pico
FROM ledger_transaction AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id AND account.kind = 'prepaid'
WHERE transaction.reference = :reference;

-- name: payer^
SELECT id, billing, currency FROM organization WHERE id = :organization_id;

-- name: transactions
-- Newest first; one row an entry.
SELECT transaction.id, transaction.reference, transaction.kind, transaction.currency, transaction.memo,
       transaction.posted_at, account.kind AS account, entry.amount_pico
FROM (
    SELECT * FROM ledger_transaction
    WHERE organization_id = :organization_id AND (:before::bigint IS NULL OR id < :before::bigint)
    ORDER BY id DESC LIMIT :limit
) AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id
ORDER BY transaction.id DESC, entry.amount_pico;

-- name: entries_of
-- A transaction that was posted before: what it is, and what it moved.
SELECT transaction.id, transaction.kind, account.kind AS account, entry.amount_pico
FROM ledger_transaction AS transaction
LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
LEFT JOIN ledger_account AS account ON account.id = entry.account_id
WHERE transaction.reference = :reference;

-- name: insert_service!
INSERT INTO service_charge (
    id, organization_id, reference, organization_class, industry, prepaid, layer, item, quantity_micro, unit_price_pico,
    amount_pico, currency, memo, performed_at, transaction_id
) VALUES (
    :id, :organization_id, :reference, :organization_class, :industry, :prepaid, :layer, :item, :quantity_micro,
    :unit_price_pico, :amount_pico, :currency, :memo, :performed_at, :transaction_id
);

-- name: service_by_reference^
SELECT layer, item, quantity_micro, unit_price_pico, performed_at FROM service_charge
WHERE organization_id = :organization_id AND reference = :reference;
