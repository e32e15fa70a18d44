-- Organizations, projects, members, API keys, admin keys.

-- name: organization_by_reference^
SELECT id, name, class AS class_, industry, billing, currency, disabled, created_at, free_only
FROM organization WHERE id = :reference OR name = :reference;

-- name: organization_page
SELECT id, name, class AS class_, industry, billing, currency, disabled, created_at, free_only
FROM organization WHERE id > :after ORDER BY id LIMIT :limit;

-- name: organization_search
-- In the order of names, whatever their case; `above` is what the search begins with, or the last one seen.
SELECT id, name, class AS class_, industry, billing, currency, disabled, created_at, free_only
FROM organization
WHERE (lower(name) COLLATE "C", id) > (lower(:above) COLLATE "C", :above_id)
  AND lower(name) COLLATE "C" < lower(:search) COLLATE "C" || U&'\+10FFFF'
ORDER BY lower(name) COLLATE "C", id LIMIT :limit;

-- name: organization_names
SELECT id, name FROM organization WHERE id = ANY (:ids);

-- name: organization_rows_lock$
-- One organization is made at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.organization', 0))) AS locked;

-- name: organization_rows_close_up$
-- Lease rows are few: what rolled back (a dry run, a refused file) must not use them up.
SELECT setval(pg_get_serial_sequence('organization', 'lease_row'),
              (SELECT coalesce(max(lease_row), -1) + 1 FROM organization), false);

-- name: organization_insert!
INSERT INTO organization (id, name, class, industry, billing, currency, disabled, free_only)
VALUES (:id, :name, :class_, :industry, :billing, :currency, :disabled, :free_only);

-- name: organization_update!
UPDATE organization SET class = :class_, industry = :industry, billing = :billing, disabled = :disabled,
    free_only = :free_only
WHERE id = :id;

-- name: organization_lease_row$
SELECT lease_row FROM organization WHERE id = :id;

-- name: project_by_reference^
SELECT id, organization_id, name, created_at, service_tiers
FROM project WHERE organization_id = :organization_id AND (id = :reference OR name = :reference);

-- name: project_page
SELECT id, organization_id, name, created_at, service_tiers
FROM project WHERE organization_id = :organization_id AND id > :after ORDER BY id LIMIT :limit;

-- name: project_insert!
INSERT INTO project (id, organization_id, name, service_tiers)
VALUES (:id, :organization_id, :name, :service_tiers);

-- name: project_update!
UPDATE project SET service_tiers = :service_tiers WHERE id = :id;

-- name: member_by_login^
SELECT person.id, member.organization_id, person.login, member.role, person.disabled, member.created_at
FROM member JOIN person ON person.id = member.person_id
WHERE member.organization_id = :organization_id AND person.login = :login;

-- name: member_page
SELECT person.id, member.organization_id, person.login, member.role, person.disabled, member.created_at
FROM member JOIN person ON person.id = member.person_id
WHERE member.organization_id = :organization_id AND person.id > :after ORDER BY person.id LIMIT :limit;

-- name: member_insert!
INSERT INTO member (organization_id, person_id, role) VALUES (:organization_id, :person_id, :role);

-- name: member_update!
UPDATE member SET role = :role WHERE organization_id = :organization_id AND person_id = :person_id;

-- name: member_delete!
DELETE FROM member WHERE organization_id = :organization_id AND person_id = :person_id;

-- name: key_by_id^
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.id = :id;

-- name: key_lock$
-- Until the end of the transaction nobody else changes it. Read it after this, not with it: whoever waited here sees
-- what the other has made only in a statement that begins later.
SELECT id FROM api_key WHERE organization_id = :organization_id AND id = :id FOR UPDATE;

-- name: key_by_secret^
SELECT * FROM key_shown
WHERE key_shown.id = (SELECT id FROM api_key WHERE secret_sha256 = :secret_sha256);

-- name: key_anywhere^
-- For the platform's operators, who may see every organization.
SELECT * FROM key_shown
WHERE key_shown.id = :id;

-- name: keys_by_name
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.name = :name
ORDER BY key_shown.id LIMIT 2;

-- name: key_by_name^
-- Names are for people and may repeat; the oldest key of that name is the one a file means.
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.project_id = :project_id AND key_shown.name = :name
ORDER BY key_shown.id LIMIT 1;

-- name: key_page
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.id > :after ORDER BY key_shown.id LIMIT :limit;

-- name: key_insert!
INSERT INTO api_key (
    id, organization_id, project_id, name, secret_sha256, hint, models, expires_at, disabled, scopes, person_id, made_by
) VALUES (
    :id, :organization_id, :project_id, :name, :secret_sha256, :hint, :models, :expires_at, :disabled, :scopes,
    :person_id, :made_by
);

-- name: key_update!
UPDATE api_key SET name = :name, models = :models, expires_at = :expires_at, disabled = :disabled, scopes = :scopes
WHERE id = :id;

-- name: admin_key_by_id^
SELECT id, name, disabled FROM admin_key WHERE id = :id;

-- name: admin_key_page
SELECT id, name, disabled FROM admin_key WHERE id > :after ORDER BY id LIMIT :limit;

-- name: admin_key_disable!
UPDATE admin_key SET disabled = :disabled WHERE id = :id;

-- name: admin_key_by_secret^
SELECT id, name, disabled FROM admin_key WHERE secret_sha256 = :secret_sha256;

-- name: admin_key_insert!
INSERT INTO admin_key (id, name, secret_sha256) VALUES (:id, :name, :secret_sha256)
ON CONFLICT (secret_sha256) DO NOTHING;
