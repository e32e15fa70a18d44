-- Prices become rules with conditions; charges keep what a rule looked at, what lots covered, and every other count.

ALTER TABLE price_version ADD COLUMN rules jsonb, ADD COLUMN windows jsonb NOT NULL DEFAULT '{}';
ALTER TABLE price_version DISABLE TRIGGER price_version_append_only;
UPDATE price_version AS version SET rules = (
    SELECT jsonb_agg(
        jsonb_build_object('item', price.item, 'pico_per_unit', price.pico::bigint)
        || CASE WHEN tier.above > 0 THEN jsonb_build_object('above_input_tokens', tier.above) ELSE '{}' END
        || CASE WHEN tier.upto > 0 THEN jsonb_build_object('upto_input_tokens', tier.upto) ELSE '{}' END
        ORDER BY tier.above, price.item
    )
    FROM (
        SELECT given.value -> 'pico_per_token' AS prices, above.tokens AS above,
               lead(above.tokens) OVER (ORDER BY above.tokens) AS upto
        FROM jsonb_array_elements(version.tiers) AS given,
            LATERAL (SELECT coalesce((given.value ->> 'above_input_tokens')::bigint, 0) AS tokens) AS above
    ) AS tier, LATERAL jsonb_each_text(tier.prices) AS price (item, pico)
);
ALTER TABLE price_version ENABLE TRIGGER price_version_append_only;
ALTER TABLE price_version ALTER COLUMN rules SET NOT NULL, DROP COLUMN tiers;

ALTER TABLE charge
    ADD COLUMN granted_pico numeric(38, 0) NOT NULL DEFAULT 0,   -- Of the amount: paid by lots of credit.
    ADD COLUMN other_counts jsonb NOT NULL DEFAULT '{}',         -- Counts without a column of their own.
    ADD COLUMN circumstances jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN draws jsonb NOT NULL DEFAULT '[]',                -- What was taken of which lot.
    ADD CHECK (granted_pico >= 0 AND granted_pico + uncollected_pico <= amount_pico);

-- Tokens of one modality, read and written.
CREATE FUNCTION modality_tokens(counts jsonb, modality text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce((counts ->> (modality || '_input_tokens'))::bigint, 0)
         + coalesce((counts ->> (modality || '_output_tokens'))::bigint, 0)
$$;

-- The league tables read the roll-up alone: it learns the industry, the endpoint and tokens by modality.
ALTER TABLE usage_hourly
    ADD COLUMN industry text NOT NULL DEFAULT '',
    ADD COLUMN endpoint text NOT NULL DEFAULT '',
    ADD COLUMN image_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN audio_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN video_tokens bigint NOT NULL DEFAULT 0;
TRUNCATE usage_hourly;
INSERT INTO usage_hourly (
    hour, organization_id, organization_class, project_id, key_id, model, target, currency, usage_source, industry,
    endpoint, requests, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    amount_pico
)
SELECT date_trunc('hour', started_at, 'UTC'), organization_id, organization_class, project_id, key_id, model, target,
    currency, usage_source, industry, endpoint, count(*), sum(input_tokens), sum(cached_input_tokens),
    sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), sum(amount_pico)
FROM charge GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
ALTER TABLE usage_hourly DROP CONSTRAINT usage_hourly_pkey, ADD PRIMARY KEY (
    organization_id, hour, project_id, key_id, model, target, currency, usage_source, organization_class, industry,
    endpoint
);
CREATE INDEX usage_hourly_hour ON usage_hourly (hour);

-- Requests that were admitted and cost nothing: what reports count as errors.
CREATE TABLE void_hourly (
    hour            timestamptz NOT NULL,
    organization_id text NOT NULL,
    model           text NOT NULL,
    target          text NOT NULL,
    status          integer NOT NULL,
    requests        bigint NOT NULL,
    PRIMARY KEY (hour, organization_id, model, target, status)
);
