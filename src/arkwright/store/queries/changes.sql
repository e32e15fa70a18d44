-- The audit log: who changed what, from what, to what. Never a secret.

-- name: change_insert!
-- Whose the thing is: by its organization's id, or by the name or id that what was changed says.
INSERT INTO audit_log (actor, action, subject, before, after, organization_id)
VALUES (:actor, :action, :subject, :before, :after,
        (SELECT id FROM organization WHERE id = :organization OR name = :organization));

-- name: change_page
SELECT id, at, actor, action, subject, before, after, organization_id
FROM audit_log
WHERE id > :after AND (:subject::text IS NULL OR subject = :subject)
ORDER BY id LIMIT :limit;

-- name: change_search
-- The newest first. A filter that is null does not filter; `before` is the last row seen.
SELECT id, at, actor, action, subject, before, after, organization_id
FROM audit_log
WHERE (:organization_id::text IS NULL OR organization_id = :organization_id)
  AND (:actor::text IS NULL OR actor = :actor)
  AND (:action::text IS NULL OR action = :action)
  AND (:subject::text IS NULL OR subject = :subject)
  AND (:since::timestamptz IS NULL OR at >= :since)
  AND (:until::timestamptz IS NULL OR at < :until)
  AND (:before::bigint = 0 OR (at, id) < (SELECT last.at, last.id FROM audit_log AS last WHERE last.id = :before))
ORDER BY at DESC, id DESC LIMIT :limit;
