-- Invitations: one person let in, once.

-- name: invitation_insert!
INSERT INTO invitation (id, token_sha256, organization_id, role, platform_role, note, invited_by, expires_at)
VALUES (:id, :token_sha256, :organization_id, :role, :platform_role, :note, :invited_by, :expires_at);

-- name: invitation_page
-- The newest first.
SELECT invitation.id, invitation.organization_id, organization.name AS organization, invitation.role,
       invitation.platform_role, invitation.note, invitation.invited_by, invitation.created_at, invitation.expires_at,
       invitation.used_at, person.login AS used_by, invitation.revoked_at
FROM invitation
LEFT JOIN organization ON organization.id = invitation.organization_id
LEFT JOIN person ON person.id = invitation.used_by
WHERE (:before = '' OR invitation.id < :before)
  AND (:organization_id::text IS NULL OR invitation.organization_id = :organization_id)
ORDER BY invitation.id DESC LIMIT :limit;

-- name: invitation_by_id^
SELECT invitation.id, invitation.organization_id, organization.name AS organization, invitation.role,
       invitation.platform_role, invitation.note, invitation.invited_by, invitation.created_at, invitation.expires_at,
       invitation.used_at, person.login AS used_by, invitation.revoked_at
FROM invitation
LEFT JOIN organization ON organization.id = invitation.organization_id
LEFT JOIN person ON person.id = invitation.used_by
WHERE invitation.id = :id;

-- name: invitation_by_token^
SELECT invitation.id, invitation.organization_id, organization.name AS organization, invitation.role,
       invitation.platform_role, invitation.note, invitation.invited_by, invitation.created_at, invitation.expires_at,
       invitation.used_at, person.login AS used_by, invitation.revoked_at
FROM invitation
LEFT JOIN organization ON organization.id = invitation.organization_id
LEFT JOIN person ON person.id = invitation.used_by
WHERE invitation.token_sha256 = :token_sha256;

-- name: invitation_lock^
-- Who comes second waits here, and then finds it used.
SELECT id FROM invitation
WHERE token_sha256 = :token_sha256 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now() FOR UPDATE;

-- name: invitation_use!
UPDATE invitation SET used_at = now(), used_by = :person_id WHERE id = :id;

-- name: invitation_revoke!
UPDATE invitation SET revoked_at = now() WHERE id = :id AND used_at IS NULL AND revoked_at IS NULL;
