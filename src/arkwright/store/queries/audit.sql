-- What an audit reads. The checks return a row for each thing that is wrong: subject, what, found, expected.

-- name: positions
SELECT writer.incarnation, writer.closed_at IS NOT NULL AS closed, segment.segment, segment.settled_offset,
       segment.settled_sequence, segment.head_hash
FROM journal_writer AS writer LEFT JOIN journal_segment AS segment USING (incarnation)
WHERE writer.host = :host
ORDER BY writer.incarnation, segment.segment;

-- name: charges_between
SELECT
    replace(event_id::text, '-', '') AS event_id, organization_id, organization_class, industry, prepaid, project_id,
    key_id, endpoint, model, target, upstream_model, upstream_request_id, streamed, status, finish,
    (extract(epoch FROM started_at) * 1000000)::bigint AS started_us,
    (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_us,
    ttft_us, queue_us, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    usage_source, currency, price_version, lines, amount_pico, uncollected_pico, granted_pico, other_counts, circumstances, draws,
    attempts, incarnation, sequence, endpoint_id, connect_us
FROM charge
WHERE incarnation = :incarnation AND sequence > :above AND sequence <= :upto
ORDER BY sequence LIMIT :limit;

-- name: charge_by_event^
SELECT
    replace(event_id::text, '-', '') AS event_id, organization_id, organization_class, industry, prepaid, project_id,
    key_id, endpoint, model, target, upstream_model, upstream_request_id, streamed, status, finish,
    (extract(epoch FROM started_at) * 1000000)::bigint AS started_us,
    (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_us,
    ttft_us, queue_us, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    usage_source, currency, price_version, lines, amount_pico, uncollected_pico, granted_pico, other_counts, circumstances, draws,
    attempts, incarnation, sequence, endpoint_id, connect_us
FROM charge WHERE event_id = :event_id::uuid;

-- name: charged_incarnations
-- Every journal that a charge names, and its host if the journal is known.
WITH RECURSIVE named AS (
    (SELECT incarnation FROM charge ORDER BY incarnation LIMIT 1)
    UNION ALL
    SELECT (SELECT incarnation FROM charge WHERE incarnation > named.incarnation ORDER BY incarnation LIMIT 1)
    FROM named WHERE named.incarnation IS NOT NULL
)
SELECT named.incarnation, writer.host
FROM named LEFT JOIN journal_writer AS writer USING (incarnation) WHERE named.incarnation IS NOT NULL;

-- name: prices
SELECT id, model, currency, rules, windows, valid_from FROM price_version;

-- name: counted^
SELECT (SELECT count(*) FROM ledger_transaction) AS transactions, (SELECT count(*) FROM ledger_entry) AS entries,
       (SELECT count(*) FROM ledger_account) AS accounts, (SELECT count(*) FROM usage_hourly) AS usage_rows;

-- name: unbalanced_transactions
SELECT 'transaction ' || transaction.reference AS subject, 'the sum of its entries' AS what,
       coalesce(sum(entry.amount_pico)::text, 'missing') AS found, '0' AS expected
FROM ledger_transaction AS transaction LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
-- What rerating changes may come to nothing; `wrong_reratings` looks at those.
GROUP BY transaction.id HAVING coalesce(sum(entry.amount_pico), CASE transaction.kind WHEN 'rerating' THEN 0 ELSE 1 END) <> 0
ORDER BY transaction.id LIMIT :limit;

-- name: foreign_entries
-- Entries that post to another organization's account, or in another currency, than their transaction's.
SELECT 'transaction ' || transaction.reference AS subject, 'the account of an entry' AS what,
       account.organization_id || ' ' || account.currency AS found,
       transaction.organization_id || ' ' || transaction.currency AS expected
FROM ledger_entry AS entry
JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id
JOIN ledger_account AS account ON account.id = entry.account_id
WHERE (account.organization_id, account.currency) <> (transaction.organization_id, transaction.currency)
ORDER BY transaction.id LIMIT :limit;

-- name: wrong_transactions
-- What a transaction of charges must post: the payer less what was collected, revenue, and what was not collected.
WITH due AS (
    SELECT charge.transaction_id, account.kind, sum(account.amount_pico) AS amount_pico
    FROM charge CROSS JOIN LATERAL (VALUES
        (CASE WHEN prepaid THEN 'prepaid' ELSE 'receivable' END, uncollected_pico + granted_pico - amount_pico),
        ('grants', -granted_pico),
        ('revenue_maas', amount_pico),
        ('bad_debt', -uncollected_pico)
    ) AS account (kind, amount_pico)
    GROUP BY charge.transaction_id, account.kind
), posted AS (
    SELECT entry.transaction_id, account.kind, entry.amount_pico
    FROM ledger_entry AS entry
    JOIN ledger_account AS account ON account.id = entry.account_id
    JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id AND transaction.kind = 'charges'
)
SELECT 'transaction ' || transaction.reference AS subject, 'its entry on ' || coalesce(due.kind, posted.kind) AS what,
       coalesce(posted.amount_pico, 0)::text AS found, coalesce(due.amount_pico, 0)::text AS expected
FROM due FULL JOIN posted ON (posted.transaction_id, posted.kind) = (due.transaction_id, due.kind)
JOIN ledger_transaction AS transaction ON transaction.id = coalesce(due.transaction_id, posted.transaction_id)
WHERE coalesce(posted.amount_pico, 0) <> coalesce(due.amount_pico, 0)
ORDER BY transaction.id, what LIMIT :limit;

-- name: foreign_charges
SELECT 'event ' || replace(charge.event_id::text, '-', '') AS subject, 'the transaction it is posted by' AS what,
       transaction.kind || ' of ' || transaction.organization_id || ' in ' || transaction.currency AS found,
       'charges of ' || charge.organization_id || ' in ' || charge.currency AS expected
FROM charge JOIN ledger_transaction AS transaction ON transaction.id = charge.transaction_id
WHERE (transaction.kind, transaction.organization_id, transaction.currency)
   <> ('charges', charge.organization_id, charge.currency)
ORDER BY charge.event_id LIMIT :limit;

-- name: unexplained_transactions
-- Of a kind that nothing posts: there is no evidence it could be compared with.
SELECT 'transaction ' || reference AS subject, 'its kind' AS what, kind AS found,
       'one of those that are compared with their evidence' AS expected
FROM ledger_transaction
WHERE kind NOT IN ('charges', 'top_up', 'payment', 'refund', 'refund_paid', 'write_off', 'credit_note', 'service',
                   'rerating', 'invoice')
ORDER BY id LIMIT :limit;

-- name: wrong_movements
-- What people move has one row in the audit log, written with it, that tells every entry.
WITH told AS (
    SELECT id AS row, after->>'transaction' AS reference, split_part(action, '.', 1) AS kind,
           after->>'organization_id' AS organization_id, after->>'currency' AS currency,
           after->'entries_pico' AS entries
    FROM audit_log
    WHERE action IN ('payment.create', 'refund.create', 'refund_paid.create', 'write_off.create', 'credit_note.create',
                     'service.create')
), posted AS (
    SELECT transaction.id, transaction.reference, transaction.kind, transaction.organization_id, transaction.currency,
           coalesce(jsonb_object_agg(account.kind, entry.amount_pico::text) FILTER (WHERE account.id IS NOT NULL), '{}')
               AS entries
    FROM ledger_transaction AS transaction
    LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    LEFT JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind IN ('payment', 'refund', 'refund_paid', 'write_off', 'credit_note', 'service')
    GROUP BY transaction.id
), paired AS (
    SELECT posted.id, coalesce(posted.reference, told.reference) AS reference, told.row,
           concat_ws(' ', posted.kind, posted.organization_id, posted.currency, posted.entries) AS found,
           concat_ws(' ', told.kind, told.organization_id, told.currency, told.entries) AS expected,
           count(told.row) OVER (PARTITION BY posted.id) AS rows
    FROM posted FULL JOIN told ON told.reference = posted.reference
)
SELECT CASE WHEN id IS NULL THEN 'audit log row ' || row ELSE 'transaction ' || reference END AS subject,
       CASE WHEN id IS NULL THEN 'the movement that it tells of'
            WHEN rows <> 1 THEN 'the number of rows in the audit log that tell of it' ELSE 'what it moves' END AS what,
       CASE WHEN id IS NULL THEN 'missing' WHEN rows <> 1 THEN rows::text ELSE found END AS found,
       CASE WHEN id IS NULL THEN concat_ws(' ', 'transaction', reference, 'of', expected) WHEN rows <> 1 THEN '1'
            ELSE expected || ', by row ' || row || ' of the audit log' END AS expected
FROM paired WHERE id IS NULL OR rows <> 1 OR found <> expected
ORDER BY id, row LIMIT :limit;

-- name: wrong_services
-- Each service charge has one transaction that moves its amount from the payer to the layer's revenue, and each such
-- transaction has its service charge.
WITH due AS (
    SELECT service.transaction_id, service.organization_id, service.currency, service.reference,
           jsonb_build_object(CASE WHEN prepaid THEN 'prepaid' ELSE 'receivable' END, (-amount_pico)::text,
                              'revenue_' || layer, amount_pico::text) AS entries
    FROM service_charge AS service
), posted AS (
    SELECT transaction.id, transaction.reference, transaction.kind, transaction.organization_id, transaction.currency,
           coalesce(jsonb_object_agg(account.kind, entry.amount_pico::text) FILTER (WHERE account.id IS NOT NULL), '{}')
               AS entries
    FROM ledger_transaction AS transaction
    LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    LEFT JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind = 'service' OR transaction.id IN (SELECT transaction_id FROM due)
    GROUP BY transaction.id
)
SELECT coalesce('transaction ' || posted.reference, 'service ' || due.reference) AS subject,
       'what it moves' AS what,
       coalesce(concat_ws(' ', posted.kind, posted.organization_id, posted.currency, posted.entries), 'missing') AS found,
       coalesce(concat_ws(' ', 'service', due.organization_id, due.currency, due.entries), 'a service charge') AS expected
FROM posted FULL JOIN due ON due.transaction_id = posted.id
WHERE (posted.kind, posted.organization_id, posted.currency, posted.entries)
      IS DISTINCT FROM ('service', due.organization_id, due.currency, due.entries)
ORDER BY 1 LIMIT :limit;

-- name: wrong_reratings
-- What a transaction of rerating must post: the sums of its adjustments, for the payer of their charges.
WITH due AS (
    SELECT adjustment.transaction_id, account.kind, sum(account.amount_pico) AS amount_pico
    FROM charge_adjustment AS adjustment JOIN charge USING (event_id)
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN prepaid THEN 'prepaid' ELSE 'receivable' END,
         uncollected_delta_pico + granted_delta_pico - delta_pico),
        ('grants', -granted_delta_pico), ('revenue_maas', delta_pico), ('bad_debt', -uncollected_delta_pico)
    ) AS account (kind, amount_pico)
    GROUP BY adjustment.transaction_id, account.kind
), posted AS (
    SELECT entry.transaction_id, account.kind, entry.amount_pico
    FROM ledger_entry AS entry
    JOIN ledger_account AS account ON account.id = entry.account_id
    JOIN ledger_transaction AS transaction ON transaction.id = entry.transaction_id AND transaction.kind = 'rerating'
)
SELECT 'transaction ' || transaction.reference AS subject, 'its entry on ' || coalesce(due.kind, posted.kind) AS what,
       coalesce(posted.amount_pico, 0)::text AS found, coalesce(due.amount_pico, 0)::text AS expected
FROM due FULL JOIN posted ON (posted.transaction_id, posted.kind) = (due.transaction_id, due.kind)
JOIN ledger_transaction AS transaction ON transaction.id = coalesce(due.transaction_id, posted.transaction_id)
WHERE coalesce(posted.amount_pico, 0) <> coalesce(due.amount_pico, 0)
ORDER BY transaction.id, what LIMIT :limit;

-- name: wrong_adjustments
-- What a charge comes to after each adjustment is the sum of its lines; and it says of its charge what the charge says.
WITH stood AS (
    SELECT adjustment.*, charge.amount_pico + sum(adjustment.delta_pico) OVER (
               PARTITION BY adjustment.event_id ORDER BY adjustment.id) AS amount_pico,
           concat_ws(' ', charge.organization_id, charge.started_at) AS due,
           concat_ws(' ', adjustment.organization_id, adjustment.started_at) AS said,
           (SELECT coalesce(sum((line ->> 'amount_pico')::numeric), 0)
            FROM jsonb_array_elements(adjustment.lines) AS line) AS lines_pico
    FROM charge_adjustment AS adjustment JOIN charge USING (event_id)
)
SELECT 'event ' || replace(event_id::text, '-', '') AS subject, 'adjustment ' || id || ' of it' AS what,
       concat_ws(' ', said, amount_pico) AS found, concat_ws(' ', due, lines_pico) AS expected
FROM stood WHERE amount_pico <> lines_pico OR said <> due
ORDER BY id LIMIT :limit;

-- name: wrong_top_ups
-- Each top-up has one row in the audit log, written with it: who paid how much, or (declarations) from what total to
-- what total. It is compared with both entries: the customer's, and the cash it came from.
WITH written AS (
    SELECT log.id, log.after->>'reference' AS reference, log.after->>'currency' AS currency,
           -- Rows of the first versions say the organization's name only.
           coalesce(log.after->>'organization_id', organization.id) AS organization_id, log.after->>'top_up' AS total,
           coalesce(log.after->>'top_up', log.after->>'amount') AS upto,
           CASE WHEN log.after->>'top_up' IS NULL THEN '0' ELSE coalesce(log.before->>'top_up', '0') END AS above
    FROM audit_log AS log
    LEFT JOIN organization
        ON log.after->>'organization_id' IS NULL AND log.subject = 'top_up ' || organization.name
    WHERE starts_with(log.action, 'top_up.')
), amounts AS (
    SELECT *, CASE WHEN upto ~ '^[0-9]{1,26}([.][0-9]{1,12})?$' AND above ~ '^[0-9]{1,26}([.][0-9]{1,12})?$'
                   THEN trunc(upto::numeric * 1000000000000) END AS upto_pico,
              CASE WHEN above ~ '^[0-9]{1,26}([.][0-9]{1,12})?$'
                   THEN trunc(above::numeric * 1000000000000) END AS above_pico
    FROM written
), told AS (
    SELECT *, upto_pico - above_pico AS pico, 'top-up:' || organization_id || ':'
                  || CASE WHEN total IS NULL THEN reference ELSE 'apply:' || upto_pico END AS full_reference
    FROM amounts
), posted AS (
    SELECT transaction.id, transaction.reference, transaction.organization_id, transaction.currency,
           coalesce(sum(entry.amount_pico) FILTER (WHERE account.kind = 'prepaid'), 0) AS pico,
           coalesce(-sum(entry.amount_pico) FILTER (WHERE account.kind = 'cash_clearing'), 0) AS cash_pico
    FROM ledger_transaction AS transaction
    LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    LEFT JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind = 'top_up'
    GROUP BY transaction.id
), paired AS (
    SELECT posted.*, told.id AS row, told.full_reference, told.pico AS told_pico,
           coalesce(told.currency, posted.currency) AS told_currency, told.organization_id AS told_organization,
           count(told.id) OVER (PARTITION BY posted.id) AS rows
    FROM posted FULL JOIN told ON told.full_reference = posted.reference
)
SELECT coalesce('transaction ' || reference, 'audit log row ' || row) AS subject,
       CASE WHEN id IS NULL THEN 'the top-up that it tells of'
            WHEN rows <> 1 THEN 'the number of rows in the audit log that tell of it'
            ELSE 'what it credits' END AS what,
       CASE WHEN id IS NULL THEN 'missing' WHEN rows <> 1 THEN rows::text
            ELSE concat_ws(' ', pico, 'from cash', cash_pico, 'to', organization_id, currency) END AS found,
       CASE WHEN id IS NULL THEN concat_ws(' ', 'transaction', full_reference, 'of', told_pico) WHEN rows <> 1 THEN '1'
            ELSE concat_ws(' ', told_pico, 'from cash', told_pico, 'to', told_organization, told_currency)
                 || ', by row ' || row || ' of the audit log' END AS expected
FROM paired
WHERE id IS NULL OR rows <> 1 OR (pico, cash_pico, organization_id, currency)
                  IS DISTINCT FROM (told_pico, told_pico, told_organization, told_currency)
ORDER BY id, row LIMIT :limit;

-- name: wrong_declared
-- A declaration's reference says what declarations had credited in all: each credits what it adds to the one before.
WITH declared AS (
    SELECT transaction.id, reference, transaction.organization_id,
           substr(reference, length('top-up:' || transaction.organization_id || ':apply:') + 1) AS said,
           coalesce(sum(entry.amount_pico) FILTER (WHERE account.kind = 'prepaid'), 0) AS pico
    FROM ledger_transaction AS transaction
    LEFT JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    LEFT JOIN ledger_account AS account ON account.id = entry.account_id
    WHERE transaction.kind = 'top_up'
      AND starts_with(reference, 'top-up:' || transaction.organization_id || ':apply:')
    GROUP BY transaction.id
), totals AS (
    SELECT *, CASE WHEN said ~ '^[0-9]{1,38}$' THEN said::numeric END AS total FROM declared
), due AS (
    SELECT *, total - coalesce(lag(total) OVER (PARTITION BY organization_id ORDER BY total), 0) AS due FROM totals
)
SELECT 'transaction ' || reference AS subject, 'what it credits' AS what, pico::text AS found,
       coalesce(due || ', by its reference and the one before', 'the total of a declaration') AS expected
FROM due WHERE pico IS DISTINCT FROM due
ORDER BY id LIMIT :limit;

-- name: wrong_balances
SELECT 'account ' || account.kind || ' of ' || account.organization_id AS subject, 'its balance' AS what,
       account.balance_pico::text AS found, coalesce(sum(entry.amount_pico), 0)::text AS expected
FROM ledger_account AS account LEFT JOIN ledger_entry AS entry ON entry.account_id = account.id
GROUP BY account.id HAVING account.balance_pico <> coalesce(sum(entry.amount_pico), 0)
ORDER BY account.id LIMIT :limit;

-- name: wrong_usage
WITH due AS (
    SELECT date_trunc('hour', started_at, 'UTC') AS hour, organization_id, organization_class, project_id, key_id,
           model, target, currency, usage_source, industry, endpoint,
           ARRAY[count(*), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
                 sum(reasoning_tokens), sum(modality_tokens(other_counts, 'image')),
                 sum(modality_tokens(other_counts, 'audio')), sum(modality_tokens(other_counts, 'video')),
                 sum(amount_pico), coalesce(sum(adjusted.pico), 0)]::numeric[] AS sums
    FROM charge
    LEFT JOIN (SELECT event_id, sum(delta_pico) AS pico FROM charge_adjustment GROUP BY event_id) AS adjusted
        USING (event_id)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
), kept AS (
    SELECT hour, organization_id, organization_class, project_id, key_id, model, target, currency, usage_source,
           industry, endpoint,
           ARRAY[requests, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
                 image_tokens, audio_tokens, video_tokens, amount_pico, adjusted_pico]::numeric[] AS sums
    FROM usage_hourly
)
SELECT concat_ws(' ', 'usage of', organization_id, key_id, model, 'at', to_char(hour, 'YYYY-MM-DD"T"HH24"Z"')) AS subject,
       'requests, input, cached, cache write, output, reasoning, image, audio, video, pico, adjusted' AS what,
       coalesce(kept.sums::text, 'missing') AS found, coalesce(due.sums::text, 'none') AS expected
FROM due FULL JOIN kept
    USING (hour, organization_id, organization_class, project_id, key_id, model, target, currency, usage_source, industry,
           endpoint)
WHERE due.sums IS DISTINCT FROM kept.sums
ORDER BY 1 LIMIT :limit;

-- name: overdrawn
SELECT 'organization ' || account.organization_id AS subject, 'its prepaid balance' AS what,
       account.balance_pico::text AS found, 'no less than ' || greatest(leased.pico, 0) || ', which is leased' AS expected
FROM ledger_account AS account
LEFT JOIN LATERAL (
    SELECT coalesce(sum(granted_pico - posted_pico), 0) AS pico FROM lease
    WHERE lease.organization_id = account.organization_id
) AS leased ON true
WHERE account.kind = 'prepaid' AND account.balance_pico < greatest(leased.pico, 0)
ORDER BY account.organization_id LIMIT :limit;

-- name: wrong_leases
-- What is posted and not closed was posted by writers that are not closed.
SELECT 'lease of ' || lease.organization_id || ' to host ' || lease.host AS subject,
       'what its open workers posted' AS what, (lease.posted_pico - lease.closed_pico)::text AS found,
       coalesce(posted.pico, 0)::text AS expected
FROM lease LEFT JOIN (
    SELECT writer.host, given.organization_id, sum(given.posted_pico) AS pico
    FROM lease_posted AS given JOIN journal_writer AS writer USING (incarnation)
    WHERE writer.closed_at IS NULL GROUP BY 1, 2
) AS posted USING (host, organization_id)
WHERE lease.posted_pico - lease.closed_pico <> coalesce(posted.pico, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_posted
SELECT 'journal ' || incarnation || ' for ' || organization_id AS subject, 'what it posted to prepaid' AS what,
       coalesce(kept.posted_pico, 0)::text AS found, coalesce(due.pico, 0)::text AS expected
FROM lease_posted AS kept
FULL JOIN (
    SELECT incarnation, organization_id, sum(amount_pico - uncollected_pico - granted_pico) AS pico
    FROM charge WHERE prepaid GROUP BY 1, 2
) AS due USING (incarnation, organization_id)
WHERE coalesce(kept.posted_pico, 0) <> coalesce(due.pico, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_leagues
-- The daily roll-up has what was placed before its follower's place.
WITH due AS (
    SELECT dimension, day, league_charge.class, value, count(*) AS requests, sum(tokens) AS tokens
    FROM ledger_place AS place JOIN league_charge USING (transaction_id)
    WHERE place.position < (SELECT position FROM follower WHERE name = 'leagues')
    GROUP BY 1, 2, 3, 4
)
SELECT concat_ws(' ', 'league of', dimension, value, class, 'on', day) AS subject, 'requests and tokens' AS what,
       coalesce(kept.requests || ' ' || kept.tokens, 'missing') AS found,
       coalesce(due.requests || ' ' || due.tokens, 'none') AS expected
FROM due FULL JOIN league_daily AS kept USING (dimension, day, class, value)
WHERE (due.requests, due.tokens) IS DISTINCT FROM (kept.requests, kept.tokens)
ORDER BY 1 LIMIT :limit;

-- name: wrong_lots
WITH due AS (
    SELECT draw.lot, sum(draw.units) AS units
    FROM charge, jsonb_to_recordset(charge.draws) AS draw (lot text, units numeric)
    WHERE charge.draws <> '[]' GROUP BY draw.lot
)
SELECT 'lot ' || coalesce(lot.id, due.lot) AS subject, 'what is used of it' AS what,
       coalesce(lot.used::text, 'missing, as is the lot') AS found,
       coalesce(due.units, 0) || ', which charges drew' AS expected
FROM lot FULL JOIN due ON due.lot = lot.id
WHERE lot.used IS DISTINCT FROM coalesce(due.units, 0)
ORDER BY 1 LIMIT :limit;

-- name: overdrawn_lots
SELECT 'lot ' || lot.id AS subject, 'what is left of it' AS what, (lot.size - lot.used)::text AS found,
       'no less than ' || greatest(leased.units, 0) || ', which is leased' AS expected
FROM lot LEFT JOIN LATERAL (
    SELECT coalesce(sum(granted - posted), 0) AS units FROM lot_lease WHERE lot_lease.lot_id = lot.id
) AS leased ON true
WHERE lot.size - lot.used < greatest(leased.units, 0)
ORDER BY lot.id LIMIT :limit;

-- name: foreign_draws
-- A lot pays for its own organization, for its own models, after it began; and a credit in units of money only.
SELECT 'event ' || replace(charge.event_id::text, '-', '') AS subject, 'the lot ' || lot.id || ' that it drew on' AS what,
       'of ' || lot.organization_id || ' for ' || coalesce(nullif(array_to_string(lot.models, ', '), ''), 'every model')
           || ' from ' || lot.valid_from AS found,
       'one of ' || charge.organization_id || ' for ' || charge.model || ' at ' || charge.started_at AS expected
FROM charge, jsonb_to_recordset(charge.draws) AS draw (lot text, units numeric) JOIN lot ON lot.id = draw.lot
WHERE charge.draws <> '[]' AND (
    lot.organization_id <> charge.organization_id
    OR (cardinality(lot.models) > 0 AND charge.model <> ALL (lot.models))
    OR charge.started_at < lot.valid_from OR charge.started_at >= lot.expires_at
    OR coalesce(charge.circumstances ->> 'mode', 'online') <> ALL (lot.modes)
    OR EXISTS (
        SELECT FROM jsonb_array_elements(charge.lines) AS line
        WHERE line ->> 'lot' = lot.id AND line ->> 'item' <> ALL (lot.items)
    )
    OR (lot.kind = 'credit' AND EXISTS (SELECT FROM jsonb_array_elements(charge.lines) AS line WHERE line ->> 'lot' = lot.id))
)
ORDER BY charge.event_id LIMIT :limit;

-- name: foreign_reserved
-- A reservation covers its own organization's requests to its own model that were admitted while it was in force.
SELECT 'event ' || replace(charge.event_id::text, '-', '') AS subject,
       'the reservation ' || (line ->> 'lot') || ' that covers a line' AS what,
       coalesce('of ' || reservation.organization_id || ' for ' || reservation.model, 'missing') AS found,
       'one of ' || charge.organization_id || ' for ' || charge.model || ' at ' || charge.started_at AS expected
FROM charge CROSS JOIN LATERAL jsonb_array_elements(charge.lines) AS line
LEFT JOIN reservation ON reservation.id = line ->> 'lot'
WHERE charge.lines @? '$[*] ? (@.lot starts with "rsv_")' AND starts_with(line ->> 'lot', 'rsv_') AND (
    reservation.id IS NULL OR (reservation.organization_id, reservation.model) <> (charge.organization_id, charge.model)
    OR charge.started_at < reservation.valid_from OR charge.started_at >= reservation.valid_until
)
ORDER BY charge.event_id LIMIT :limit;

-- name: wrong_lot_leases
SELECT 'lease of lot ' || lot_lease.lot_id || ' to host ' || lot_lease.host AS subject,
       'what its open workers posted' AS what, (lot_lease.posted - lot_lease.closed)::text AS found,
       coalesce(posted.units, 0)::text AS expected
FROM lot_lease LEFT JOIN (
    SELECT writer.host, given.lot_id, sum(given.posted) AS units
    FROM lot_posted AS given JOIN journal_writer AS writer USING (incarnation)
    WHERE writer.closed_at IS NULL GROUP BY 1, 2
) AS posted USING (host, lot_id)
WHERE lot_lease.posted - lot_lease.closed <> coalesce(posted.units, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_lot_posted
SELECT 'journal ' || incarnation || ' for lot ' || lot_id AS subject, 'what it drew' AS what,
       coalesce(kept.posted, 0)::text AS found, coalesce(due.units, 0)::text AS expected
FROM lot_posted AS kept
FULL JOIN (
    SELECT charge.incarnation, draw.lot AS lot_id, sum(draw.units) AS units
    FROM charge, jsonb_to_recordset(charge.draws) AS draw (lot text, units numeric)
    WHERE charge.draws <> '[]' GROUP BY 1, 2
) AS due USING (incarnation, lot_id)
WHERE coalesce(kept.posted, 0) <> coalesce(due.units, 0)
ORDER BY 1 LIMIT :limit;

-- name: wrong_costs
-- Sums of costs against their rows.
WITH due AS (
    SELECT date_trunc('hour', at, 'UTC') AS hour, organization_id, model, target, state, currency, revenue_currency,
           ARRAY[count(*), count(*) FILTER (WHERE served), coalesce(sum(amount_pico), 0), sum(revenue_pico)]::numeric[]
               AS sums
    FROM attempt_cost GROUP BY 1, 2, 3, 4, 5, 6, 7
), kept AS (
    SELECT hour, organization_id, model, target, state, currency, revenue_currency,
           ARRAY[attempts, served, amount_pico, revenue_pico]::numeric[] AS sums
    FROM cost_hourly WHERE (attempts, served, amount_pico, revenue_pico) <> (0, 0, 0, 0)
)
SELECT concat_ws(' ', 'costs of', organization_id, model, 'at', target, state, to_char(hour, 'YYYY-MM-DD"T"HH24"Z"'))
           AS subject,
       'attempts, served, pico, revenue' AS what,
       coalesce(kept.sums::text, 'missing') AS found, coalesce(due.sums::text, 'none') AS expected
FROM due FULL JOIN kept USING (hour, organization_id, model, target, state, currency, revenue_currency)
WHERE due.sums IS DISTINCT FROM kept.sums
ORDER BY 1 LIMIT :limit;

-- name: wrong_cost_revenue
-- What cost rows say was earned, against their charges; a charge before the follower's place without a row is missing.
SELECT 'event ' || replace(charge.event_id::text, '-', '') AS subject, 'the revenue of its cost row' AS what,
       coalesce(cost.revenue_pico || ' ' || cost.revenue_currency, 'missing') AS found,
       charge.amount_pico || ' ' || charge.currency AS expected
FROM follower JOIN ledger_place AS place ON place.position <= follower.position
JOIN charge ON charge.transaction_id = place.transaction_id
    AND (place.position < follower.position OR charge.event_id <= follower.event_id)
LEFT JOIN attempt_cost AS cost ON cost.event_id = charge.event_id AND cost.served
WHERE follower.name = 'costs'
  AND (cost.revenue_pico, cost.revenue_currency) IS DISTINCT FROM (charge.amount_pico, charge.currency)
ORDER BY charge.event_id LIMIT :limit;

-- name: wrong_league_months
WITH due AS (
    SELECT dimension, date_trunc('month', day)::date AS month, class, value, sum(requests) AS requests,
           sum(tokens) AS tokens
    FROM league_daily GROUP BY 1, 2, 3, 4
)
SELECT concat_ws(' ', 'league of', dimension, value, class, 'in', to_char(month, 'YYYY-MM')) AS subject,
       'requests and tokens' AS what, coalesce(kept.requests || ' ' || kept.tokens, 'missing') AS found,
       coalesce(due.requests || ' ' || due.tokens, 'none') AS expected
FROM due FULL JOIN league_monthly AS kept USING (dimension, month, class, value)
WHERE (due.requests, due.tokens) IS DISTINCT FROM (kept.requests, kept.tokens)
ORDER BY 1 LIMIT :limit;
