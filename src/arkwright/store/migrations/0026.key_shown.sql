-- A key as it is shown, whoever asks for it by whatever: its project, its person, and the secret it had before, while that
-- one still opens. Beside the key, so that every list of keys says the same of one.
CREATE VIEW key_shown AS
SELECT api_key.id, api_key.organization_id, api_key.project_id, project.name AS project, api_key.name, api_key.hint,
       api_key.models, api_key.expires_at, api_key.disabled, api_key.created_at, api_key.scopes, api_key.person_id,
       person.login AS person, api_key.made_by, former.hint AS former_hint, former.expires_at AS former_until
FROM api_key JOIN project ON project.id = api_key.project_id LEFT JOIN person ON person.id = api_key.person_id
LEFT JOIN LATERAL (
    SELECT hint, expires_at FROM former_secret
    WHERE former_secret.key_id = api_key.id AND former_secret.expires_at > now() ORDER BY expires_at DESC LIMIT 1
) AS former ON true;
