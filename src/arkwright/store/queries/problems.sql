-- What rules about problems ask of the database: a few rows each, however much was served.

-- name: unpriced
-- Models without a version that is in force.
SELECT name FROM model
WHERE NOT EXISTS (SELECT FROM price_version WHERE price_version.model = model.name AND price_version.valid_from <= now())
ORDER BY name LIMIT :limit;

-- name: low_balances
-- Prepaid organizations that have less than they used since then, the poorest first.
SELECT organization.name, organization.currency, coalesce(account.balance_pico, 0) AS balance_pico, used.spent_pico
FROM (
    SELECT organization_id, currency, sum(amount_pico + adjusted_pico) AS spent_pico
    FROM usage_hourly WHERE hour >= :since GROUP BY 1, 2
) AS used
JOIN organization ON organization.id = used.organization_id AND organization.currency = used.currency
    AND organization.billing = 'prepaid' AND NOT organization.disabled
LEFT JOIN ledger_account AS account ON account.organization_id = organization.id
    AND account.currency = organization.currency AND account.kind = 'prepaid'
WHERE used.spent_pico > 0 AND coalesce(account.balance_pico, 0) < used.spent_pico
ORDER BY balance_pico, organization.id LIMIT :limit;

-- name: failing_webhooks
SELECT name, failures FROM webhook WHERE failures > 0 AND NOT paused ORDER BY failures DESC, name LIMIT :limit;

-- name: sealed_days_ago$
-- How many days ago the last day was that is sealed whole; NULL while nothing was ever sealed.
SELECT (now() AT TIME ZONE 'UTC')::date - max(day) FROM proof_root WHERE over;
