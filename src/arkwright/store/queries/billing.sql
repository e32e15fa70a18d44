-- What a bill says: sums over an organization's charges, and what was credited.

-- name: charged_by_model
-- With what rerating changed of them, and how much that was.
SELECT model, currency, count(*) AS charges,
       sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
       sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(reasoning_tokens)::bigint AS reasoning_tokens,
       sum(amount_pico) + coalesce(sum(adjusted.pico), 0) AS amount_pico,
       coalesce(sum(adjusted.pico), 0) AS adjusted_pico,
       sum(granted_pico) + coalesce(sum(adjusted.granted_pico_delta), 0) AS granted_pico,
       sum(uncollected_pico) + coalesce(sum(adjusted.uncollected_pico_delta), 0) AS uncollected_pico
FROM charge
LEFT JOIN (
    SELECT event_id, sum(delta_pico) AS pico, sum(granted_delta_pico) AS granted_pico_delta,
           sum(uncollected_delta_pico) AS uncollected_pico_delta
    FROM charge_adjustment WHERE organization_id = :organization_id GROUP BY event_id
) AS adjusted USING (event_id)
WHERE organization_id = :organization_id
  AND started_at >= coalesce(:since::timestamptz, '-infinity')
  AND started_at < coalesce(:until::timestamptz, 'infinity')
GROUP BY model, currency ORDER BY model, currency;

-- name: credited$
-- All that was ever credited to the prepaid balance by references that begin like this.
SELECT coalesce(sum(ledger_entry.amount_pico), 0)
FROM ledger_transaction
JOIN ledger_entry ON ledger_entry.transaction_id = ledger_transaction.id
JOIN ledger_account ON ledger_account.id = ledger_entry.account_id
WHERE ledger_transaction.organization_id = :organization_id AND ledger_transaction.kind = 'top_up'
  AND starts_with(ledger_transaction.reference, :prefix) AND ledger_account.kind = 'prepaid';

-- name: declaration_lock$
-- One declaration at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.apply', 0))) AS locked;

-- name: serviced$
-- What services came to.
SELECT coalesce(sum(amount_pico), 0) FROM service_charge
WHERE organization_id = :organization_id
  AND performed_at >= coalesce(:since::timestamptz, '-infinity')
  AND performed_at < coalesce(:until::timestamptz, 'infinity');
