-- What a snapshot is built from: everything the data plane must know, read at one moment.

-- name: organizations
SELECT id, name, class AS class_, industry, billing, currency, lease_row, disabled, free_only,
       coalesce(dunning.state = 'suspended', false) AS overdue
FROM organization LEFT JOIN dunning ON dunning.organization_id = organization.id;

-- name: keys
-- By each secret that a key has or had; one that it had is told of for a day more, so that it is called expired.
SELECT secret.sha256, api_key.id, api_key.organization_id, api_key.project_id, api_key.models,
       least(api_key.expires_at, secret.expires_at) AS expires_at, api_key.disabled, project.service_tiers, api_key.scopes
FROM (
    SELECT id AS key_id, secret_sha256 AS sha256, NULL::timestamptz AS expires_at FROM api_key
    UNION ALL
    SELECT key_id, secret_sha256, expires_at FROM former_secret WHERE expires_at > now() - interval '1 day'
) AS secret
JOIN api_key ON api_key.id = secret.key_id JOIN project ON project.id = api_key.project_id;

-- name: models
SELECT model.id, model.name, model.kind, model.upstream_name, model.context_tokens, model.max_output_tokens,
       model.created_at, model.provider_id, model.deployment_id
FROM model ORDER BY model.name;

-- name: providers
SELECT id, name, kind, base_url, sealed_key, options, desired <> 'running' AS draining FROM provider;

-- name: ready_replicas
-- Of one host: an engine listens on the loopback of its own.
SELECT replica.id, replica.deployment_id, replica.url, replica.sealed_key, replica.capacity,
       deployment.name, deployment.engine, deployment.options,
       deployment.desired = 'draining' OR replica.desired = 'draining' AS draining
FROM replica JOIN deployment ON deployment.id = replica.deployment_id
WHERE replica.host = :host AND replica.state = 'ready'
    AND deployment.desired <> 'stopped' AND replica.desired <> 'stopped'
ORDER BY replica.id;
