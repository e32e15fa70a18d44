-- Invoices: what a closing takes, the documents, numbers without a gap, credit notes, whose address it is.

-- name: closing_items
-- What happened before `until` and was posted up to `watermark`, less what the closing before took: alike is one line.
WITH taken AS (
    SELECT * FROM charge
    WHERE organization_id = :organization_id AND started_at < :until AND transaction_id <= :watermark
      AND NOT (started_at < coalesce(:last_until::timestamptz, '-infinity') AND transaction_id <= :last_watermark)
), adjusted AS (
    SELECT adjustment.*, charge.prepaid, charge.model
    FROM charge_adjustment AS adjustment JOIN charge USING (event_id)
    WHERE adjustment.organization_id = :organization_id AND adjustment.started_at < :until
      AND adjustment.transaction_id <= :watermark
      AND NOT (adjustment.started_at < coalesce(:last_until::timestamptz, '-infinity')
               AND adjustment.transaction_id <= :last_watermark)
), used AS (
    SELECT taken.prepaid, to_char(taken.started_at, 'YYYY-MM') AS period, taken.model, line.*
    FROM taken CROSS JOIN LATERAL jsonb_to_recordset(taken.lines) AS line (
        item text, quantity numeric, pico_per_unit numeric, amount_pico numeric, list_pico_per_unit numeric,
        discount_bp integer, lot text, rule text
    )
), parts AS (
    SELECT prepaid, to_char(started_at, 'YYYY-MM') AS period, -granted_pico AS credit_pico,
           -uncollected_pico AS lost_pico
    FROM taken
    UNION ALL
    SELECT prepaid, to_char(started_at, 'YYYY-MM'), -granted_delta_pico, -uncollected_delta_pico FROM adjusted
)
SELECT prepaid, 'usage' AS kind, period, 'maas' AS layer, model AS subject, item,
       sum(quantity) * 1000000 AS quantity_micro, pico_per_unit AS unit_price_pico,
       coalesce(list_pico_per_unit, pico_per_unit) AS list_price_pico, coalesce(discount_bp, 0) AS discount_bp,
       coalesce(lot, '') AS lot, coalesce(rule, '') AS rule, sum(amount_pico) AS amount_pico
FROM used
GROUP BY prepaid, period, model, item, pico_per_unit, 9, 10, 11, 12
UNION ALL
SELECT prepaid, 'service', to_char(performed_at, 'YYYY-MM'), layer, item, '', sum(quantity_micro), unit_price_pico,
       unit_price_pico, 0, '', '', sum(amount_pico)
FROM service_charge
WHERE organization_id = :organization_id AND performed_at < :until AND transaction_id <= :watermark
  AND NOT (performed_at < coalesce(:last_until::timestamptz, '-infinity') AND transaction_id <= :last_watermark)
GROUP BY prepaid, to_char(performed_at, 'YYYY-MM'), layer, item, unit_price_pico
UNION ALL
SELECT prepaid, 'rerating', to_char(started_at, 'YYYY-MM'), 'maas', model, '', NULL, NULL, NULL, 0, '', '',
       sum(delta_pico)
FROM adjusted GROUP BY prepaid, to_char(started_at, 'YYYY-MM'), model HAVING sum(delta_pico) <> 0
UNION ALL
SELECT prepaid, 'credit', period, 'maas', '', '', NULL, NULL, NULL, 0, '', '', sum(credit_pico)
FROM parts GROUP BY prepaid, period HAVING sum(credit_pico) <> 0
UNION ALL
SELECT prepaid, 'uncollected', period, 'maas', '', '', NULL, NULL, NULL, 0, '', '', sum(lost_pico)
FROM parts GROUP BY prepaid, period HAVING sum(lost_pico) <> 0;

-- name: next_number$
-- The row's lock makes numbers wait for each other, and one that is rolled back is given again.
INSERT INTO document_number (series, year, last) VALUES (:series, :year, 1)
ON CONFLICT (series, year) DO UPDATE SET last = document_number.last + 1
RETURNING last;

-- name: insert_invoice!
INSERT INTO invoice (
    number, organization_id, billing, period, until, issued_at, due_at, currency, minor_digits, exact_pico, net_minor,
    tax_minor, total_minor, document, sha256, transaction_id
) VALUES (
    :number, :organization_id, :billing, :period, :until, :issued_at, :due_at, :currency, :minor_digits, :exact_pico,
    :net_minor, :tax_minor, :total_minor, :document, :sha256, :transaction_id
);

-- name: invoice_page
SELECT invoice.number, invoice.organization_id, organization.name AS organization, invoice.billing, invoice.period,
       invoice.issued_at, invoice.due_at, invoice.currency, invoice.minor_digits, invoice.net_minor, invoice.tax_minor,
       invoice.total_minor,
       coalesce((SELECT sum(amount_minor) FROM credit_note WHERE invoice_number = invoice.number), 0) AS credited_minor
FROM invoice JOIN organization ON organization.id = invoice.organization_id
WHERE invoice.number > :after AND (:organization_id::text IS NULL OR invoice.organization_id = :organization_id::text)
ORDER BY invoice.number LIMIT :limit;

-- name: invoices_of_close
SELECT number FROM invoice WHERE organization_id = :organization_id AND until = :until ORDER BY number;

-- name: invoice^
SELECT number, organization_id, billing, currency, minor_digits, due_at, net_minor, tax_minor, total_minor, document,
       sha256
FROM invoice WHERE number = :number;

-- name: lock_invoice$
SELECT number FROM invoice WHERE number = :number FOR NO KEY UPDATE;

-- name: credit_notes
SELECT number, invoice_number, amount_minor, tax_minor, reason, reference, transaction_id, created_at
FROM credit_note WHERE invoice_number = :invoice_number ORDER BY number;

-- name: credit_note_by_reference^
SELECT number, invoice_number, amount_minor, tax_minor, reason, reference, transaction_id, created_at
FROM credit_note WHERE organization_id = :organization_id AND reference = :reference;

-- name: insert_credit_note!
INSERT INTO credit_note (
    number, invoice_number, organization_id, currency, amount_minor, tax_minor, reason, reference, transaction_id,
    created_at
) VALUES (
    :number, :invoice_number, :organization_id, :currency, :amount_minor, :tax_minor, :reason, :reference,
    :transaction_id, :created_at
);

-- name: profile^
SELECT legal_name, address, email, tax_id, tax_name, tax_rate_bp, terms_days, grace_days, locale
FROM billing_profile WHERE organization_id = :organization_id;

-- name: save_profile!
INSERT INTO billing_profile (
    organization_id, legal_name, address, email, tax_id, tax_name, tax_rate_bp, terms_days, grace_days, locale
) VALUES (
    :organization_id, :legal_name, :address, :email, :tax_id, :tax_name, :tax_rate_bp, :terms_days, :grace_days, :locale
)
ON CONFLICT (organization_id) DO UPDATE SET
    legal_name = excluded.legal_name, address = excluded.address, email = excluded.email, tax_id = excluded.tax_id,
    tax_name = excluded.tax_name, tax_rate_bp = excluded.tax_rate_bp, terms_days = excluded.terms_days,
    grace_days = excluded.grace_days, locale = excluded.locale;

-- name: issuer^
SELECT legal_name, address, email, tax_id, payment_info FROM invoice_issuer;

-- name: save_issuer!
INSERT INTO invoice_issuer (legal_name, address, email, tax_id, payment_info)
VALUES (:legal_name, :address, :email, :tax_id, :payment_info)
ON CONFLICT (singleton) DO UPDATE SET
    legal_name = excluded.legal_name, address = excluded.address, email = excluded.email, tax_id = excluded.tax_id,
    payment_info = excluded.payment_info;
