-- An account over time: transactions in the order of posting, and the balance at any place between two of them.

-- name: page
-- Newest first, below the place (posted_at, id); one row an entry. `kind` empty: of every kind.
SELECT transaction.id, transaction.reference, transaction.kind, transaction.currency, transaction.memo,
       transaction.posted_at, account.kind AS account, entry.amount_pico
FROM (
    SELECT * FROM ledger_transaction
    WHERE organization_id = :organization_id AND posted_at >= :since
      AND (posted_at, id) < (:before_at::timestamptz, :before_id::bigint)
    ORDER BY posted_at DESC, id DESC LIMIT :limit
) AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id
ORDER BY transaction.posted_at DESC, transaction.id DESC, entry.amount_pico, account.kind;

-- name: page_of_kind
SELECT transaction.id, transaction.reference, transaction.kind, transaction.currency, transaction.memo,
       transaction.posted_at, account.kind AS account, entry.amount_pico
FROM (
    SELECT * FROM ledger_transaction
    WHERE organization_id = :organization_id AND kind = :kind AND posted_at >= :since
      AND (posted_at, id) < (:before_at::timestamptz, :before_id::bigint)
    ORDER BY posted_at DESC, id DESC LIMIT :limit
) AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id
ORDER BY transaction.posted_at DESC, transaction.id DESC, entry.amount_pico, account.kind;

-- name: balance_before$
-- The balance once everything below the place (at, id) is posted: today's, less whole hours after it, less the rest of
-- its own hour.
SELECT account.balance_pico
    - coalesce((
        SELECT sum(amount_pico) FROM ledger_hourly
        WHERE account_id = account.id AND hour > date_trunc('hour', :at::timestamptz, 'UTC')
    ), 0)
    - coalesce((
        SELECT sum(entry.amount_pico)
        FROM ledger_transaction AS transaction
        JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id AND entry.account_id = account.id
        WHERE transaction.organization_id = account.organization_id
          AND (transaction.posted_at, transaction.id) >= (:at::timestamptz, :id::bigint)
          AND transaction.posted_at < date_trunc('hour', :at::timestamptz, 'UTC') + interval '1 hour'
    ), 0)
FROM ledger_account AS account
WHERE account.organization_id = :organization_id AND account.kind = :account AND account.currency = :currency;

-- name: proved_sums
-- What the ledger earned by model calls at the places that these roots cover: the revenue of charges as they were made.
SELECT transaction.currency, sum(entry.amount_pico) AS amount_pico
FROM ledger_place AS place
JOIN ledger_transaction AS transaction ON transaction.id = place.transaction_id AND transaction.kind = 'charges'
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id AND account.kind = 'revenue_maas'
WHERE place.organization_id = :organization_id
  AND place.position > coalesce((SELECT upto_position FROM proof_root WHERE number = :first::bigint - 1), 0)
  AND place.position <= (SELECT upto_position FROM proof_root WHERE number = :last)
GROUP BY transaction.currency ORDER BY transaction.currency;
