-- People: who they are on the platform, their personal tokens, and the issuers' accounts that are theirs.

-- name: person_by_login^
SELECT id, login, password_hash, platform_role, disabled, locale, theme, created_at FROM person WHERE login = :login;

-- name: person_by_id^
SELECT id, login, password_hash, platform_role, disabled, locale, theme, created_at FROM person WHERE id = :id;

-- name: person_page
-- In the order of logins, whatever their case; `above` is what the search begins with, or the last one seen.
SELECT id, login, password_hash, platform_role, disabled, locale, theme, created_at
FROM person
WHERE (lower(login) COLLATE "C", id) > (lower(:above) COLLATE "C", :above_id)
  AND lower(login) COLLATE "C" < lower(:search) COLLATE "C" || U&'\+10FFFF'
ORDER BY lower(login) COLLATE "C", id LIMIT :limit;

-- name: person_operator_exists$
SELECT EXISTS (SELECT FROM person WHERE platform_role = 'operator');

-- name: person_operators_lock$
-- Whoever takes an operator away looks for another one first; two at once would each see the other.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.operators', 0))) AS locked;

-- name: person_another_operator$
SELECT EXISTS (SELECT FROM person WHERE platform_role = 'operator' AND NOT disabled AND id <> :id);

-- name: person_insert!
INSERT INTO person (id, login, password_hash, platform_role) VALUES (:id, :login, :password_hash, :platform_role);

-- name: person_update!
UPDATE person SET platform_role = :platform_role, disabled = :disabled, locale = :locale, theme = :theme WHERE id = :id;

-- name: person_password!
UPDATE person SET password_hash = :password_hash WHERE id = :id;

-- name: memberships_of
SELECT organization.id AS organization_id, organization.name, member.role
FROM member JOIN organization ON organization.id = member.organization_id
WHERE member.person_id = :person_id ORDER BY organization.name LIMIT :limit;

-- name: token_insert!
INSERT INTO personal_token (id, person_id, name, token_sha256, hint, expires_at)
VALUES (:id, :person_id, :name, :token_sha256, :hint, :expires_at);

-- name: tokens_of
SELECT id, name, hint, created_at, expires_at, used_at
FROM personal_token WHERE person_id = :person_id AND id > :after ORDER BY id LIMIT :limit;

-- name: token_by_id^
SELECT id, name, hint, created_at, expires_at, used_at
FROM personal_token WHERE person_id = :person_id AND id = :id;

-- name: token_delete!
DELETE FROM personal_token WHERE person_id = :person_id AND id = :id;

-- name: tokens_of_person_delete!
DELETE FROM personal_token WHERE person_id = :person_id;

-- name: tokens_expired_delete!
DELETE FROM personal_token WHERE person_id = :person_id AND expires_at <= now();

-- name: token_person^
SELECT person.id, person.login, person.platform_role, person.locale, person.theme, token.id AS by_id,
       token.used_at IS NULL OR token.used_at < now() - interval '1 minute' AS stale
FROM personal_token AS token JOIN person ON person.id = token.person_id
WHERE token.token_sha256 = :token_sha256 AND token.expires_at > now() AND NOT person.disabled;

-- name: token_used!
UPDATE personal_token SET used_at = now() WHERE id = :id;

-- name: identity_person^
SELECT person.id, login, password_hash, platform_role, disabled, locale, theme, person.created_at
FROM person_identity JOIN person ON person.id = person_identity.person_id
WHERE issuer = :issuer AND subject = :subject;

-- name: identity_insert!
INSERT INTO person_identity (issuer, subject, person_id) VALUES (:issuer, :subject, :person_id);
