-- Who is late: open claims, what was paid, and what follows from it.

-- name: claims
-- Postpaid invoices, less their own credit notes.
SELECT invoice.number, invoice.due_at, invoice.minor_digits,
       invoice.total_minor
           - coalesce((SELECT sum(note.amount_minor) FROM credit_note AS note WHERE note.invoice_number = invoice.number), 0)
           AS amount_minor
FROM invoice WHERE organization_id = :organization_id AND billing = 'postpaid' ORDER BY due_at, number;

-- name: paid$
-- Everything that ever came in or was written off, less what was promised back.
SELECT coalesce(sum(entry.amount_pico), 0)
FROM ledger_entry AS entry
JOIN ledger_account AS account ON account.id = entry.account_id AND account.kind = 'receivable'
JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id
WHERE account.organization_id = :organization_id AND transaction.kind IN ('payment', 'write_off', 'refund');

-- name: standing^
SELECT state, since, reason, suspend_at FROM dunning WHERE organization_id = :organization_id;

-- name: save_standing!
INSERT INTO dunning (organization_id, state, since, reason, suspend_at, checked_at)
VALUES (:organization_id, :state, :now, :reason, :suspend_at, :now)
ON CONFLICT (organization_id) DO UPDATE SET
    since = CASE dunning.state WHEN excluded.state THEN dunning.since ELSE excluded.since END,
    state = excluded.state, reason = excluded.reason, suspend_at = excluded.suspend_at, checked_at = excluded.checked_at;

-- name: debtors
-- Whoever has a postpaid invoice.
SELECT DISTINCT organization_id FROM invoice
WHERE billing = 'postpaid' AND organization_id > :after ORDER BY organization_id LIMIT :limit;

-- name: standings
SELECT organization.id, organization.name AS organization, coalesce(dunning.state, 'good') AS state, dunning.since,
       coalesce(dunning.reason, '') AS reason, dunning.suspend_at
FROM organization LEFT JOIN dunning ON dunning.organization_id = organization.id
WHERE organization.billing = 'postpaid' AND organization.id > :after
  AND (:late::boolean IS FALSE OR dunning.state <> 'good')
ORDER BY organization.id LIMIT :limit;
