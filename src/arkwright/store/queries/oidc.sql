-- People on the way to an issuer and back.

-- name: attempt_insert!
INSERT INTO oidc_attempt (browser_sha256, state, nonce, verifier, redirect_uri, invitation_sha256, expires_at)
VALUES (:browser_sha256, :state, :nonce, :verifier, :redirect_uri, :invitation_sha256,
        now() + make_interval(secs => :lifetime_s));

-- name: attempt_take^
-- Once: who comes again finds nothing.
DELETE FROM oidc_attempt WHERE browser_sha256 = :browser_sha256 AND expires_at > now()
RETURNING state, nonce, verifier, redirect_uri, invitation_sha256;

-- name: attempts_expired_delete!
DELETE FROM oidc_attempt WHERE expires_at <= now();
