-- What an audit reads of invoices. A row for each thing that is wrong: subject, what, found, expected.

-- name: wrong_documents
-- The document is the one that was made, its lines add up, and it says what the row says.
WITH told AS (
    SELECT invoice.*, document::jsonb AS said, 10::numeric ^ (12 - minor_digits) AS unit FROM invoice
), summed AS (
    SELECT number, sum(trunc((line ->> 'exact')::numeric * 1000000000000)) AS exact_pico,
           sum(trunc((line ->> 'amount')::numeric * 1000000000000)) AS lines_pico
    FROM told CROSS JOIN LATERAL jsonb_array_elements(said -> 'lines') AS line GROUP BY number
)
SELECT 'invoice ' || number AS subject, wrong.what, wrong.found, wrong.expected
FROM told LEFT JOIN summed USING (number) CROSS JOIN LATERAL (VALUES
    ('the hash of its document', encode(sha256(convert_to(document, 'UTF8')), 'hex'), encode(sha256, 'hex')),
    ('the number in its document', said ->> 'number', number),
    ('the exact sum of its lines', summed.exact_pico::text, told.exact_pico::text),
    ('the sum of its lines', trunc(summed.lines_pico)::text,
     trunc(CASE billing WHEN 'prepaid' THEN total_minor ELSE net_minor END * unit)::text),
    ('the total in its document', trunc((said ->> 'total')::numeric * 1000000000000)::text,
     trunc(total_minor * unit)::text),
    ('the tax in its document', trunc((said ->> 'tax')::numeric * 1000000000000)::text, trunc(tax_minor * unit)::text)
) AS wrong (what, found, expected)
WHERE wrong.found IS DISTINCT FROM wrong.expected
ORDER BY number, wrong.what LIMIT :limit;

-- name: wrong_invoices
-- Everything that the payer's account was moved by belongs to the first closing that covers its moment and its posting;
-- the invoices of that closing are the sum of it.
WITH moved AS (
    SELECT organization_id, prepaid, started_at AS at, transaction_id, amount_pico - granted_pico - uncollected_pico AS pico
    FROM charge
    UNION ALL
    SELECT adjustment.organization_id, charge.prepaid, adjustment.started_at, adjustment.transaction_id,
           delta_pico - granted_delta_pico - uncollected_delta_pico
    FROM charge_adjustment AS adjustment JOIN charge USING (event_id)
    UNION ALL
    SELECT organization_id, prepaid, performed_at, transaction_id, amount_pico FROM service_charge
), taken AS (
    SELECT moved.organization_id, close.until, CASE WHEN prepaid THEN 'prepaid' ELSE 'postpaid' END AS billing,
           sum(pico) AS pico
    FROM moved CROSS JOIN LATERAL (
        SELECT until FROM period_close
        WHERE organization_id = moved.organization_id AND until > moved.at AND watermark >= moved.transaction_id
        ORDER BY until LIMIT 1
    ) AS close
    GROUP BY 1, 2, 3
)
SELECT coalesce('invoice ' || invoice.number,
                concat_ws(' ', 'closing of', taken.organization_id, 'before', taken.until::date)) AS subject,
       'the exact sum of what it took' AS what, coalesce(invoice.exact_pico::text, 'no invoice') AS found,
       coalesce(taken.pico, 0)::text AS expected
FROM invoice FULL JOIN taken USING (organization_id, until, billing)
WHERE coalesce(invoice.exact_pico, 0) <> coalesce(taken.pico, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_invoice_postings
-- Postpaid: tax and rounding are owed on top of what was posted. Prepaid: the tax leaves the revenue, and the rounding
-- is the revenue's.
WITH due AS (
    SELECT invoice.number, invoice.transaction_id, account.kind, account.pico
    FROM invoice CROSS JOIN LATERAL (SELECT 10::numeric ^ (12 - minor_digits) AS unit) AS minor
    CROSS JOIN LATERAL (VALUES
        ('tax', trunc(tax_minor * unit)),
        ('receivable', CASE billing WHEN 'prepaid' THEN 0 ELSE exact_pico - trunc(total_minor * unit) END),
        ('rounding', CASE billing WHEN 'prepaid' THEN exact_pico - trunc(total_minor * unit)
                                  ELSE trunc(net_minor * unit) - exact_pico END),
        ('revenue', CASE billing WHEN 'prepaid' THEN trunc(net_minor * unit) - exact_pico ELSE 0 END)
    ) AS account (kind, pico)
    WHERE account.pico <> 0
), posted AS (
    SELECT transaction.id AS transaction_id, transaction.reference,
           CASE WHEN starts_with(account.kind, 'revenue') THEN 'revenue' ELSE account.kind END AS kind,
           sum(entry.amount_pico) AS pico
    FROM ledger_transaction AS transaction
    JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind = 'invoice'
    GROUP BY 1, 2, 3
)
SELECT coalesce('transaction ' || posted.reference, 'invoice ' || due.number) AS subject,
       'its entry on ' || coalesce(due.kind, posted.kind) AS what, coalesce(posted.pico, 0)::text AS found,
       coalesce(due.pico, 0)::text AS expected
FROM due FULL JOIN posted ON (posted.transaction_id, posted.kind) = (due.transaction_id, due.kind)
WHERE coalesce(posted.pico, 0) <> coalesce(due.pico, 0)
ORDER BY 1, 2 LIMIT :limit;

-- name: wrong_credit_notes
WITH due AS (
    SELECT note.number, note.transaction_id, note.organization_id, note.currency, trunc(note.amount_minor * unit) AS pico,
           trunc(note.tax_minor * unit) AS tax_pico, invoice.billing, invoice.total_minor,
           sum(note.amount_minor) OVER (PARTITION BY note.invoice_number) AS credited_minor
    FROM credit_note AS note JOIN invoice ON invoice.number = note.invoice_number
    CROSS JOIN LATERAL (SELECT 10::numeric ^ (12 - minor_digits) AS unit) AS minor
), posted AS (
    SELECT transaction.id, transaction.reference, transaction.organization_id, transaction.currency,
           coalesce(sum(entry.amount_pico) FILTER (WHERE account.kind = 'prepaid'), 0) AS prepaid_pico,
           coalesce(sum(entry.amount_pico) FILTER (WHERE account.kind = 'receivable'), 0) AS receivable_pico,
           coalesce(-sum(entry.amount_pico) FILTER (WHERE account.kind = 'tax'), 0) AS tax_pico
    FROM ledger_transaction AS transaction
    LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    LEFT JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind = 'credit_note'
    GROUP BY transaction.id
)
SELECT coalesce('credit note ' || due.number, 'transaction ' || posted.reference) AS subject,
       'what it gives back, and the tax in it' AS what,
       CASE WHEN posted.id IS NULL THEN 'missing'
            WHEN due.credited_minor > due.total_minor THEN 'more than its invoice'
            ELSE concat_ws(' ', posted.organization_id, posted.currency, prepaid_pico, receivable_pico, posted.tax_pico)
            END AS found,
       CASE WHEN due.number IS NULL THEN 'a credit note'
            WHEN due.credited_minor > due.total_minor THEN due.total_minor || ' in all'
            ELSE concat_ws(' ', due.organization_id, due.currency, CASE billing WHEN 'prepaid' THEN pico ELSE 0 END,
                           CASE billing WHEN 'prepaid' THEN 0 ELSE pico END, due.tax_pico) END AS expected
FROM due FULL JOIN posted ON posted.id = due.transaction_id
WHERE due.number IS NULL OR posted.id IS NULL OR due.credited_minor > due.total_minor
   OR (posted.organization_id, posted.currency, prepaid_pico, receivable_pico, posted.tax_pico)
      IS DISTINCT FROM (due.organization_id, due.currency, CASE billing WHEN 'prepaid' THEN pico ELSE 0 END,
                        CASE billing WHEN 'prepaid' THEN 0 ELSE pico END, due.tax_pico)
ORDER BY 1 LIMIT :limit;

-- name: wrong_taxes
WITH owed AS (
    SELECT organization_id, currency, sum(pico) AS pico FROM (
        SELECT organization_id, currency, trunc(tax_minor * 10::numeric ^ (12 - minor_digits)) AS pico FROM invoice
        UNION ALL
        SELECT note.organization_id, note.currency, -trunc(note.tax_minor * 10::numeric ^ (12 - minor_digits))
        FROM credit_note AS note JOIN invoice ON invoice.number = note.invoice_number
    ) AS parts GROUP BY 1, 2
), kept AS (
    SELECT organization_id, currency, balance_pico AS pico FROM ledger_account WHERE kind = 'tax'
)
SELECT 'tax of ' || organization_id || ' in ' || currency AS subject, 'its balance' AS what,
       coalesce(kept.pico, 0)::text AS found, coalesce(owed.pico, 0)::text AS expected
FROM kept FULL JOIN owed USING (organization_id, currency)
WHERE coalesce(kept.pico, 0) <> coalesce(owed.pico, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_receivables
-- What is owed: postpaid invoices less their credit notes, and what was used and is on no invoice yet; less what was
-- paid, written off, or (too much of it) promised back.
WITH moved AS (
    SELECT organization_id, currency, started_at AS at, transaction_id, amount_pico - granted_pico - uncollected_pico AS pico
    FROM charge WHERE NOT prepaid
    UNION ALL
    SELECT adjustment.organization_id, charge.currency, adjustment.started_at, adjustment.transaction_id,
           delta_pico - granted_delta_pico - uncollected_delta_pico
    FROM charge_adjustment AS adjustment JOIN charge USING (event_id) WHERE NOT charge.prepaid
    UNION ALL
    SELECT organization_id, currency, performed_at, transaction_id, amount_pico FROM service_charge WHERE NOT prepaid
), parts AS (
    SELECT organization_id, currency, pico FROM moved
    WHERE NOT EXISTS (
        SELECT FROM period_close AS close
        WHERE close.organization_id = moved.organization_id AND close.until > moved.at
          AND close.watermark >= moved.transaction_id)
    UNION ALL
    SELECT organization_id, currency, trunc(total_minor * 10::numeric ^ (12 - minor_digits))
    FROM invoice WHERE billing = 'postpaid'
    UNION ALL
    SELECT note.organization_id, note.currency, -trunc(note.amount_minor * 10::numeric ^ (12 - minor_digits))
    FROM credit_note AS note JOIN invoice ON invoice.number = note.invoice_number WHERE invoice.billing = 'postpaid'
    UNION ALL
    SELECT account.organization_id, account.currency, -entry.amount_pico
    FROM ledger_entry AS entry
    JOIN ledger_account AS account ON account.id = entry.account_id AND account.kind = 'receivable'
    JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id
    WHERE transaction.kind IN ('payment', 'write_off', 'refund')
), owed AS (
    SELECT organization_id, currency, sum(pico) AS pico FROM parts GROUP BY 1, 2
), kept AS (
    SELECT organization_id, currency, -balance_pico AS pico FROM ledger_account WHERE kind = 'receivable'
)
SELECT 'receivable of ' || organization_id || ' in ' || currency AS subject, 'what is owed' AS what,
       coalesce(kept.pico, 0)::text AS found,
       coalesce(owed.pico, 0) || ', by open invoices and what is on none yet' AS expected
FROM kept FULL JOIN owed USING (organization_id, currency)
WHERE coalesce(kept.pico, 0) <> coalesce(owed.pico, 0)
ORDER BY 1 LIMIT :limit;

-- name: missing_numbers
WITH given AS (
    SELECT series || '-' || year || '-' || lpad(number::text, 6, '0') AS number
    FROM document_number CROSS JOIN LATERAL generate_series(1, last) AS number
), used AS (
    SELECT number FROM invoice UNION ALL SELECT number FROM credit_note
)
SELECT 'number ' || number AS subject, 'its document' AS what,
       CASE WHEN used.number IS NULL THEN 'missing' ELSE 'there' END AS found,
       CASE WHEN used.number IS NULL THEN 'there' ELSE 'none: that number was never given' END AS expected
FROM given FULL JOIN used USING (number)
WHERE given.number IS NULL OR used.number IS NULL
ORDER BY 1 LIMIT :limit;
