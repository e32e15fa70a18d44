-- The books side by side: what was charged, what the ledger posted for it, and what each payer's account holds.

-- name: charge_sums
SELECT organization_id, currency, count(*) AS requests,
       sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
       sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(reasoning_tokens)::bigint AS reasoning_tokens,
       sum(amount_pico) + coalesce(sum(adjusted.pico), 0) AS amount_pico
FROM charge LEFT JOIN (
    SELECT event_id, sum(delta_pico) AS pico FROM charge_adjustment GROUP BY event_id
) AS adjusted USING (event_id)
GROUP BY organization_id, currency ORDER BY organization_id, currency;

-- name: ledger_sums
-- `imbalance_pico`: every entry of every account, which must come to zero.
SELECT account.organization_id, account.currency,
       coalesce(sum(entry.amount_pico) FILTER (
           WHERE account.kind = 'revenue_maas' AND transaction.kind IN ('charges', 'rerating')), 0) AS amount_pico,
       sum(entry.amount_pico) AS imbalance_pico
FROM ledger_entry AS entry
JOIN ledger_account AS account ON account.id = entry.account_id
JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id
GROUP BY account.organization_id, account.currency;

-- name: payer_accounts
-- The account a bill calls the balance, and where the lease words of its payer are.
SELECT organization.id, organization.lease_row, coalesce(account.balance_pico, 0) AS balance_pico
FROM organization
LEFT JOIN ledger_account AS account
    ON account.organization_id = organization.id AND account.currency = organization.currency
    AND account.kind = CASE organization.billing WHEN 'prepaid' THEN 'prepaid' ELSE 'receivable' END
WHERE organization.id = ANY (:organizations::text[]);
