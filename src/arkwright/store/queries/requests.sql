-- Requests one by one, newest first: those that were charged and those that failed.
-- A look is bounded: `scan` rows are taken in order, then what is not wanted is left out.

-- name: page_of
SELECT event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, finish, code,
    started_at, ended_at, ttft_us, queue_us, connect_us, input_tokens, output_tokens, currency, amount_pico
FROM (
    SELECT * FROM request
    WHERE organization_id = :organization_id
      AND (:before_at::timestamptz IS NULL OR (started_at, event_id) < (:before_at::timestamptz, :before_id::uuid))
      AND started_at >= coalesce(:since::timestamptz, '-infinity')
      AND started_at < coalesce(:until::timestamptz, 'infinity')
    ORDER BY started_at DESC, event_id DESC LIMIT :scan
) AS looked
WHERE (:project_id::text IS NULL OR project_id = :project_id) AND (:key_id::text IS NULL OR key_id = :key_id)
  AND (:model::text IS NULL OR model = :model) AND (:endpoint::text IS NULL OR :endpoint IN (endpoint, endpoint_id))
  AND (:target::text IS NULL OR target = :target) AND (:finish::text IS NULL OR finish = :finish)
  AND (:streamed::boolean IS NULL OR streamed = :streamed) AND (:status_from::integer IS NULL OR status >= :status_from)
  AND (:status_to::integer IS NULL OR status < :status_to)
  AND (:duration_us::bigint IS NULL OR ended_at - started_at >= :duration_us * interval '1 microsecond')
ORDER BY started_at DESC, event_id DESC LIMIT :limit;

-- name: page_of_all
-- Event ids are ordered by time, so the primary keys serve.
SELECT event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, finish, code,
    started_at, ended_at, ttft_us, queue_us, connect_us, input_tokens, output_tokens, currency, amount_pico
FROM (
    SELECT * FROM request
    WHERE event_id < coalesce(:before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND event_id >= coalesce(:first_id::uuid, '00000000-0000-0000-0000-000000000000')
      AND event_id <= coalesce(:last_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY event_id DESC LIMIT :scan
) AS looked
WHERE started_at >= coalesce(:since::timestamptz, '-infinity') AND started_at < coalesce(:until::timestamptz, 'infinity')
  AND (:project_id::text IS NULL OR project_id = :project_id) AND (:key_id::text IS NULL OR key_id = :key_id)
  AND (:model::text IS NULL OR model = :model) AND (:endpoint::text IS NULL OR :endpoint IN (endpoint, endpoint_id))
  AND (:target::text IS NULL OR target = :target) AND (:finish::text IS NULL OR finish = :finish)
  AND (:streamed::boolean IS NULL OR streamed = :streamed) AND (:status_from::integer IS NULL OR status >= :status_from)
  AND (:status_to::integer IS NULL OR status < :status_to)
  AND (:duration_us::bigint IS NULL OR ended_at - started_at >= :duration_us * interval '1 microsecond')
ORDER BY event_id DESC LIMIT :limit;

-- name: last_of^
-- Where a look ended that found too little.
SELECT started_at, event_id FROM (
    SELECT * FROM request
    WHERE organization_id = :organization_id
      AND (:before_at::timestamptz IS NULL OR (started_at, event_id) < (:before_at::timestamptz, :before_id::uuid))
      AND started_at >= coalesce(:since::timestamptz, '-infinity')
      AND started_at < coalesce(:until::timestamptz, 'infinity')
    ORDER BY started_at DESC, event_id DESC
) AS looked OFFSET :scan - 1 LIMIT 1;

-- name: last_of_all^
SELECT started_at, event_id FROM (
    SELECT * FROM request
    WHERE event_id < coalesce(:before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND event_id >= coalesce(:first_id::uuid, '00000000-0000-0000-0000-000000000000')
      AND event_id <= coalesce(:last_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY event_id DESC
) AS looked OFFSET :scan - 1 LIMIT 1;

-- name: bars_of
SELECT floor(extract(epoch FROM started_at - :since::timestamptz) / :width_s::integer)::integer AS bar, count(*) AS requests,
    count(*) FILTER (WHERE status >= 400 AND status <> 499) AS failed,
    coalesce(sum(amount_pico), 0) AS amount_pico, min(started_at) AS oldest_at
FROM (
    SELECT * FROM request
    WHERE organization_id = :organization_id
      AND (:before_at::timestamptz IS NULL OR (started_at, event_id) < (:before_at::timestamptz, :before_id::uuid))
      AND started_at >= coalesce(:since::timestamptz, '-infinity')
      AND started_at < coalesce(:until::timestamptz, 'infinity')
    ORDER BY started_at DESC, event_id DESC LIMIT :scan
) AS looked
WHERE (:project_id::text IS NULL OR project_id = :project_id) AND (:key_id::text IS NULL OR key_id = :key_id)
  AND (:model::text IS NULL OR model = :model) AND (:endpoint::text IS NULL OR :endpoint IN (endpoint, endpoint_id))
  AND (:target::text IS NULL OR target = :target) AND (:finish::text IS NULL OR finish = :finish)
  AND (:streamed::boolean IS NULL OR streamed = :streamed) AND (:status_from::integer IS NULL OR status >= :status_from)
  AND (:status_to::integer IS NULL OR status < :status_to)
  AND (:duration_us::bigint IS NULL OR ended_at - started_at >= :duration_us * interval '1 microsecond')
GROUP BY 1 ORDER BY 1;

-- name: bars_of_all
SELECT floor(extract(epoch FROM started_at - :since::timestamptz) / :width_s::integer)::integer AS bar, count(*) AS requests,
    count(*) FILTER (WHERE status >= 400 AND status <> 499) AS failed,
    coalesce(sum(amount_pico), 0) AS amount_pico, min(started_at) AS oldest_at
FROM (
    SELECT * FROM request
    WHERE event_id < coalesce(:before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND event_id >= coalesce(:first_id::uuid, '00000000-0000-0000-0000-000000000000')
      AND event_id <= coalesce(:last_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY event_id DESC LIMIT :scan
) AS looked
WHERE started_at >= coalesce(:since::timestamptz, '-infinity') AND started_at < coalesce(:until::timestamptz, 'infinity')
  AND (:project_id::text IS NULL OR project_id = :project_id) AND (:key_id::text IS NULL OR key_id = :key_id)
  AND (:model::text IS NULL OR model = :model) AND (:endpoint::text IS NULL OR :endpoint IN (endpoint, endpoint_id))
  AND (:target::text IS NULL OR target = :target) AND (:finish::text IS NULL OR finish = :finish)
  AND (:streamed::boolean IS NULL OR streamed = :streamed) AND (:status_from::integer IS NULL OR status >= :status_from)
  AND (:status_to::integer IS NULL OR status < :status_to)
  AND (:duration_us::bigint IS NULL OR ended_at - started_at >= :duration_us * interval '1 microsecond')
GROUP BY 1 ORDER BY 1;

-- name: failure^
SELECT replace(failure.event_id::text, '-', '') AS event_id, organization.name AS organization, failure.organization_id,
    project.name AS project, failure.project_id, failure.key_id, api_key.name AS key_name, failure.endpoint,
    failure.endpoint_id, failure.model, failure.target, failure.streamed, failure.status, failure.code, failure.message,
    failure.started_at, failure.ended_at, failure.queue_us, failure.attempts
FROM request_failure AS failure
LEFT JOIN organization ON organization.id = failure.organization_id
LEFT JOIN project ON project.id = failure.project_id
LEFT JOIN api_key ON api_key.id = failure.key_id
WHERE failure.event_id = :event_id::uuid;

-- name: names
-- Of the organizations, projects and keys of a page.
SELECT 'organization' AS kind, id, name FROM organization WHERE id = ANY (:organizations::text[])
UNION ALL SELECT 'project', id, name FROM project WHERE id = ANY (:projects::text[])
UNION ALL SELECT 'key', id, name FROM api_key WHERE id = ANY (:keys::text[]);

-- name: forget!
-- Failures that are counted and older than they are kept for.
DELETE FROM request_failure WHERE event_id IN (
    SELECT event_id FROM request_failure WHERE started_at < :before AND counted ORDER BY started_at LIMIT :limit
);
