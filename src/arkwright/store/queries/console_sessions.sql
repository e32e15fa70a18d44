-- Who is signed in to the console.

-- name: session_insert!
INSERT INTO console_session (id, token_sha256, person_id, expires_at, device, means)
VALUES (:id, :token_sha256, :person_id, now() + make_interval(secs => :lifetime_s), :device, :means);

-- name: session_person^
-- A session is worth what its person is worth now: disabling a person ends all of theirs.
SELECT person.id, person.login, person.platform_role, person.locale, person.theme, session.id AS by_id,
       session.seen_at < now() - interval '1 minute' AS stale
FROM console_session AS session JOIN person ON person.id = session.person_id
WHERE session.token_sha256 = :token_sha256 AND session.expires_at > now() AND NOT person.disabled;

-- name: session_seen!
UPDATE console_session SET seen_at = now() WHERE id = :id;

-- name: sessions_of
-- A person's, the one seen last first; a person has few.
SELECT id, device, means, created_at, seen_at, expires_at
FROM console_session WHERE person_id = :person_id AND expires_at > now()
ORDER BY seen_at DESC, id LIMIT :limit;

-- name: session_by_id^
SELECT id, device, means, created_at, seen_at, expires_at
FROM console_session WHERE person_id = :person_id AND id = :id AND expires_at > now();

-- name: session_delete!
DELETE FROM console_session WHERE token_sha256 = :token_sha256;

-- name: session_by_id_delete!
DELETE FROM console_session WHERE person_id = :person_id AND id = :id;

-- name: sessions_of_person_delete!
-- `kept`: the one that stays; empty: none.
DELETE FROM console_session WHERE person_id = :person_id AND id <> :kept;

-- name: sessions_expired_delete!
DELETE FROM console_session WHERE expires_at <= now();
