-- Who is signed in to the console.

-- name: session_insert!
INSERT INTO console_session (token_sha256, person_id, expires_at)
VALUES (:token_sha256, :person_id, now() + make_interval(secs => :lifetime_s));

-- name: session_operator^
-- A session is worth what its person is worth now: disabling a person ends all of theirs.
SELECT person.id, person.login
FROM console_session JOIN person ON person.id = console_session.person_id
WHERE console_session.token_sha256 = :token_sha256 AND console_session.expires_at > now()
  AND person.operator AND NOT person.disabled;

-- name: session_delete!
DELETE FROM console_session WHERE token_sha256 = :token_sha256;

-- name: sessions_of_person_delete!
DELETE FROM console_session WHERE person_id = :person_id;

-- name: sessions_expired_delete!
DELETE FROM console_session WHERE expires_at <= now();
