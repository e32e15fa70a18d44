-- The audit log: who changed what, from what, to what. Never a secret.

-- name: change_insert!
INSERT INTO audit_log (actor, action, subject, before, after) VALUES (:actor, :action, :subject, :before, :after);

-- name: change_page
SELECT id, at, actor, action, subject, before, after
FROM audit_log
WHERE id > :after AND (:subject::text IS NULL OR subject = :subject)
ORDER BY id LIMIT :limit;
