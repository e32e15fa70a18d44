-- The league tables: tokens from the daily roll-up and what it does not have yet; revenue from the ledger.

-- name: roll_up!
WITH taken AS MATERIALIZED (
    SELECT dimension, day, class, value, count(*) AS requests, sum(tokens) AS tokens
    FROM ledger_place AS place JOIN league_charge USING (transaction_id)
    WHERE place.position >= :position AND place.position <= :upto
    GROUP BY 1, 2, 3, 4
), by_month AS (
    INSERT INTO league_monthly AS kept (dimension, month, class, value, requests, tokens)
    SELECT dimension, date_trunc('month', day)::date, class, value, sum(requests), sum(tokens) FROM taken
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (dimension, month, class, value) DO UPDATE SET
        requests = kept.requests + excluded.requests, tokens = kept.tokens + excluded.tokens
)
INSERT INTO league_daily AS kept (dimension, day, class, value, requests, tokens)
SELECT dimension, day, class, value, requests, tokens FROM taken ORDER BY 1, 2, 3, 4
ON CONFLICT (dimension, day, class, value) DO UPDATE SET
    requests = kept.requests + excluded.requests, tokens = kept.tokens + excluded.tokens;

-- name: tokens_by
-- Of each value of the dimension, in the period and in the one it is compared with; days from, to before. Whole months
-- come from their own rows, the days before and after them from theirs, and what neither has yet from the charges.
WITH place AS MATERIALIZED (
    SELECT coalesce((SELECT position FROM follower WHERE name = 'leagues'), 0) AS position
), late AS MATERIALIZED (
    SELECT day, class, value, tokens FROM (
        SELECT transaction_id FROM ledger_place WHERE position >= (SELECT position FROM place)
        UNION ALL SELECT transaction_id FROM ledger_unplaced
    ) AS behind JOIN league_charge USING (transaction_id)
    WHERE dimension = :dimension
), told AS (
    SELECT class, value, requests, tokens, 0::bigint AS before FROM league_monthly
    WHERE dimension = :dimension AND month >= :months_since AND month < :months_until
    UNION ALL
    SELECT class, value, requests, tokens, 0 FROM league_daily
    WHERE dimension = :dimension
      AND (day >= :since AND day < :months_since OR day >= :months_until AND day < :until)
    UNION ALL
    SELECT class, value, 1, tokens, 0 FROM late WHERE day >= :since AND day < :until
    UNION ALL
    SELECT class, value, 0, 0, tokens FROM league_monthly
    WHERE dimension = :dimension AND month >= :against_months_since AND month < :against_months_until
    UNION ALL
    SELECT class, value, 0, 0, tokens FROM league_daily
    WHERE dimension = :dimension
      AND (day >= :against_since AND day < :against_months_since OR day >= :against_months_until AND day < :against_until)
    UNION ALL
    SELECT class, value, 0, 0, tokens FROM late WHERE day >= :against_since AND day < :against_until
)
SELECT class AS organization_class, value, sum(tokens)::bigint AS tokens, sum(requests)::bigint AS requests,
    sum(before)::bigint AS before
FROM told GROUP BY class, value;

-- name: charged_tokens^
-- From the charges themselves.
SELECT coalesce(sum(tokens), 0)::bigint AS tokens, count(*) AS requests FROM league_charge
WHERE dimension = 'total' AND started_at >= :since AND started_at < :until;

-- name: charged_tokens_of_journals^
-- Those whose records are in journals of this host.
SELECT coalesce(sum(tokens), 0)::bigint AS tokens, count(*) AS requests FROM league_charge
WHERE dimension = 'total' AND started_at >= :since AND started_at < :until
  AND incarnation = ANY (:incarnations);

-- name: hourly_requests$
SELECT coalesce(sum(requests), 0)::bigint FROM usage_hourly WHERE hour >= :since AND hour < :until;

-- name: revenue_by
-- Entries on revenue accounts by the moment they were posted; credits are above zero.
SELECT account.kind AS account, transaction.kind AS kind, account.organization_id, organization.name AS customer,
    organization.class AS organization_class, account.currency,
    coalesce(sum(entry.amount_pico) FILTER (WHERE posted_at >= :since AND posted_at < :until), 0) AS amount_pico,
    coalesce(sum(entry.amount_pico) FILTER (WHERE posted_at >= :against_since AND posted_at < :against_until), 0)
        AS before_pico
FROM ledger_transaction AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
JOIN ledger_account AS account ON account.id = entry.account_id AND starts_with(account.kind, 'revenue_')
JOIN organization ON organization.id = account.organization_id
WHERE posted_at >= :since AND posted_at < :until OR posted_at >= :against_since AND posted_at < :against_until
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: charged_by_model
-- Model calls of the same moments of posting: charges, and what reratings changed of them.
SELECT model, organization_class, currency,
    coalesce(sum(amount_pico) FILTER (WHERE posted_at >= :since AND posted_at < :until), 0) AS amount_pico,
    coalesce(sum(amount_pico) FILTER (WHERE posted_at >= :against_since AND posted_at < :against_until), 0)
        AS before_pico
FROM (
    SELECT charge.model, organization.class AS organization_class, charge.currency, charge.amount_pico, posted_at
    FROM ledger_transaction AS transaction JOIN charge ON charge.transaction_id = transaction.id
    JOIN organization ON organization.id = charge.organization_id
    UNION ALL
    SELECT charge.model, organization.class, charge.currency, delta_pico, posted_at
    FROM ledger_transaction AS transaction JOIN charge_adjustment ON charge_adjustment.transaction_id = transaction.id
    JOIN charge ON charge.event_id = charge_adjustment.event_id
    JOIN organization ON organization.id = charge.organization_id
) AS called
WHERE posted_at >= :since AND posted_at < :until OR posted_at >= :against_since AND posted_at < :against_until
GROUP BY 1, 2, 3;

-- name: evidence
-- What the entries on revenue accounts rest on, by the kind of transaction: charges, reratings, services.
SELECT 'charges' AS kind, charge.currency, sum(charge.amount_pico) AS amount_pico, count(*) AS rows
FROM ledger_transaction AS transaction JOIN charge ON charge.transaction_id = transaction.id
WHERE posted_at >= :since AND posted_at < :until GROUP BY charge.currency
UNION ALL
SELECT 'rerating', transaction.currency, sum(delta_pico), count(*)
FROM ledger_transaction AS transaction JOIN charge_adjustment ON charge_adjustment.transaction_id = transaction.id
WHERE posted_at >= :since AND posted_at < :until GROUP BY transaction.currency
UNION ALL
SELECT 'service', service_charge.currency, sum(amount_pico), count(*)
FROM ledger_transaction AS transaction JOIN service_charge ON service_charge.transaction_id = transaction.id
WHERE posted_at >= :since AND posted_at < :until GROUP BY service_charge.currency;

-- name: services
-- What was sold beside model calls.
SELECT layer, item, organization.class AS organization_class, service_charge.currency,
    coalesce(sum(amount_pico) FILTER (WHERE posted_at >= :since AND posted_at < :until), 0) AS amount_pico,
    coalesce(sum(amount_pico) FILTER (WHERE posted_at >= :against_since AND posted_at < :against_until), 0)
        AS before_pico
FROM ledger_transaction AS transaction
JOIN service_charge ON service_charge.transaction_id = transaction.id
JOIN organization ON organization.id = service_charge.organization_id
WHERE posted_at >= :since AND posted_at < :until OR posted_at >= :against_since AND posted_at < :against_until
GROUP BY 1, 2, 3, 4;
