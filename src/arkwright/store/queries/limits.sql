-- Limits and what counts against their budgets. `name` is what people call the limited thing.

-- name: limit_page
SELECT usage_limit.id, usage_limit.organization_id, usage_limit.row, usage_limit.scope, usage_limit.subject,
       coalesce(project.name, nullif(api_key.name, ''), '…' || api_key.hint, usage_limit.subject) AS name,
       usage_limit.requests_per_minute, usage_limit.tokens_per_minute, usage_limit.concurrent_requests,
       usage_limit.budget_daily_pico, usage_limit.budget_monthly_pico
FROM usage_limit
LEFT JOIN project ON usage_limit.scope = 'project' AND project.id = usage_limit.subject
LEFT JOIN api_key ON usage_limit.scope = 'key' AND api_key.id = usage_limit.subject
WHERE (:organization_id::text IS NULL OR usage_limit.organization_id = :organization_id::text)
  AND (:subject::text IS NULL OR (usage_limit.scope = :scope::text AND usage_limit.subject = :subject::text))
  AND usage_limit.id > :after
ORDER BY usage_limit.id LIMIT :limit;

-- name: limits_shown
-- Of an organization, page by page; to a person only those of keys that are their own.
SELECT usage_limit.id, usage_limit.organization_id, usage_limit.row, usage_limit.scope, usage_limit.subject,
       coalesce(project.name, nullif(api_key.name, ''), '…' || api_key.hint, usage_limit.subject) AS name,
       usage_limit.requests_per_minute, usage_limit.tokens_per_minute, usage_limit.concurrent_requests,
       usage_limit.budget_daily_pico, usage_limit.budget_monthly_pico
FROM usage_limit
LEFT JOIN project ON usage_limit.scope = 'project' AND project.id = usage_limit.subject
LEFT JOIN api_key ON usage_limit.scope = 'key' AND api_key.id = usage_limit.subject
WHERE usage_limit.organization_id = :organization_id AND usage_limit.id > :after
  AND (:person_id::text IS NULL OR usage_limit.scope <> 'key' OR api_key.person_id = :person_id::text)
ORDER BY usage_limit.id LIMIT :limit;

-- name: limits_of
-- Of the organization as a whole, and of these subjects of it.
SELECT usage_limit.id, usage_limit.organization_id, usage_limit.row, usage_limit.scope, usage_limit.subject,
       coalesce(project.name, nullif(api_key.name, ''), '…' || api_key.hint, usage_limit.subject) AS name,
       usage_limit.requests_per_minute, usage_limit.tokens_per_minute, usage_limit.concurrent_requests,
       usage_limit.budget_daily_pico, usage_limit.budget_monthly_pico
FROM usage_limit
LEFT JOIN project ON usage_limit.scope = 'project' AND project.id = usage_limit.subject
LEFT JOIN api_key ON usage_limit.scope = 'key' AND api_key.id = usage_limit.subject
WHERE usage_limit.organization_id = :organization_id
  AND (usage_limit.scope, usage_limit.subject)
      IN (SELECT 'organization', '' UNION ALL SELECT * FROM unnest(:scopes::text[], :subjects::text[]))
ORDER BY usage_limit.id;

-- name: limit_insert$
INSERT INTO usage_limit (id, organization_id, scope, subject, requests_per_minute, tokens_per_minute,
                         concurrent_requests, budget_daily_pico, budget_monthly_pico)
VALUES (:id, :organization_id, :scope, :subject, :requests_per_minute, :tokens_per_minute, :concurrent_requests,
        :budget_daily_pico, :budget_monthly_pico)
RETURNING row;

-- name: limit_update!
UPDATE usage_limit SET requests_per_minute = :requests_per_minute, tokens_per_minute = :tokens_per_minute,
    concurrent_requests = :concurrent_requests, budget_daily_pico = :budget_daily_pico,
    budget_monthly_pico = :budget_monthly_pico
WHERE id = :id;

-- name: limit_delete!
DELETE FROM usage_limit WHERE id = :id;

-- name: hosts$
-- How many hosts share every limit: those with a lease or a journal that is not closed, and the one that asks.
SELECT count(*) FROM (
    SELECT host FROM lease UNION SELECT host FROM journal_writer WHERE closed_at IS NULL UNION SELECT :host
) AS all_hosts;

-- name: spent
-- What the ledger has against each budget, in the month and the day that run. An endpoint is in no roll-up.
SELECT usage_limit.row, organization.lease_row, coalesce(used.daily, 0) AS daily_pico,
       coalesce(used.monthly, 0) AS monthly_pico
FROM usage_limit
JOIN organization ON organization.id = usage_limit.organization_id
LEFT JOIN LATERAL (
    SELECT sum(amount_pico) AS monthly, sum(amount_pico) FILTER (WHERE hour >= :day::timestamptz) AS daily
    FROM usage_hourly
    WHERE usage_limit.scope <> 'endpoint' AND usage_hourly.organization_id = usage_limit.organization_id
      AND hour >= :month::timestamptz
      AND (usage_limit.scope = 'organization'
           OR usage_limit.scope = 'project' AND usage_hourly.project_id = usage_limit.subject
           OR usage_limit.scope = 'key' AND usage_hourly.key_id = usage_limit.subject
           OR usage_limit.scope = 'model' AND usage_hourly.model = usage_limit.subject)
    UNION ALL
    SELECT sum(amount_pico), sum(amount_pico) FILTER (WHERE started_at >= :day::timestamptz)
    FROM charge
    WHERE usage_limit.scope = 'endpoint' AND charge.organization_id = usage_limit.organization_id
      AND started_at >= :month::timestamptz
      AND usage_limit.subject IN (charge.endpoint, charge.endpoint_id)
) AS used ON used.monthly IS NOT NULL
WHERE (usage_limit.budget_daily_pico IS NOT NULL OR usage_limit.budget_monthly_pico IS NOT NULL)
  AND usage_limit.row < :rows
  AND (:organization_id::text IS NULL OR usage_limit.organization_id = :organization_id::text);
