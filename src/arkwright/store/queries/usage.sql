-- Usage from the hourly roll-up, which the settler keeps in the transaction of the charges themselves.

-- name: usage_report
SELECT
    organization.id AS organization_id, organization.name AS organization_name,
    used.project_id, project.name AS project_name, used.key_id, api_key.name AS key_name, used.model, used.target,
    used.period, used.currency, used.requests, used.estimated_requests, used.input_tokens, used.cached_input_tokens,
    used.cache_write_tokens, used.output_tokens, used.reasoning_tokens, used.amount_pico, used.adjusted_pico
FROM (
    SELECT
        CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization_id,
        CASE WHEN 'project' = ANY (:by::text[]) THEN project_id END AS project_id,
        CASE WHEN 'key' = ANY (:by::text[]) THEN key_id END AS key_id,
        CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
        CASE WHEN 'target' = ANY (:by::text[]) THEN target END AS target,
        CASE WHEN 'hour' = ANY (:by::text[]) THEN hour
             WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', hour, 'UTC') END AS period,
        currency,
        sum(requests)::bigint AS requests,
        coalesce(sum(requests) FILTER (WHERE usage_source = 'estimated'), 0)::bigint AS estimated_requests,
        sum(input_tokens)::bigint AS input_tokens,
        sum(cached_input_tokens)::bigint AS cached_input_tokens,
        sum(cache_write_tokens)::bigint AS cache_write_tokens,
        sum(output_tokens)::bigint AS output_tokens,
        sum(reasoning_tokens)::bigint AS reasoning_tokens,
        sum(amount_pico + adjusted_pico) AS amount_pico,
        sum(adjusted_pico) AS adjusted_pico
    FROM usage_hourly
    WHERE (:organization_id::text IS NULL OR organization_id = :organization_id::text)
      AND hour >= coalesce(:since::timestamptz, '-infinity') AND hour < coalesce(:until::timestamptz, 'infinity')
    GROUP BY 1, 2, 3, 4, 5, 6, 7
) AS used
LEFT JOIN organization ON organization.id = used.organization_id
LEFT JOIN project ON project.id = used.project_id
LEFT JOIN api_key ON api_key.id = used.key_id
ORDER BY used.period DESC NULLS LAST, used.amount_pico DESC, used.organization_id, used.project_id, used.key_id,
    used.model, used.target, used.currency
LIMIT :limit;
