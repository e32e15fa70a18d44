-- Reserved throughput: tokens a minute of one model that are paid for by the month or the day, not by the token.

CREATE TABLE reservation (
    id                       text PRIMARY KEY,
    organization_id          text NOT NULL REFERENCES organization,
    reference                text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
    model                    text NOT NULL,    -- By name: a reservation outlives the model's row.
    input_tokens_per_minute  bigint NOT NULL CHECK (input_tokens_per_minute > 0),
    output_tokens_per_minute bigint NOT NULL CHECK (output_tokens_per_minute > 0),
    overflow                 text NOT NULL CHECK (overflow IN ('payg', 'reject')),
    input_row                integer NOT NULL UNIQUE DEFAULT nextval('limit_row'),  -- Where hosts count it.
    output_row               integer NOT NULL UNIQUE DEFAULT nextval('limit_row'),
    amount_pico              numeric(38, 0) NOT NULL CHECK (amount_pico >= 0),      -- Its own price, for the record.
    valid_from               timestamptz NOT NULL,
    valid_until              timestamptz NOT NULL CHECK (valid_until > valid_from),
    ended_at                 timestamptz,
    declared                 boolean NOT NULL,
    created_at               timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, reference)
);
CREATE FUNCTION refuse_other_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'ended_at' <> to_jsonb(OLD) - 'ended_at' OR OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'the terms of a reservation are never changed: end it and make another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reservation_terms BEFORE UPDATE ON reservation FOR EACH ROW EXECUTE FUNCTION refuse_other_reservation();
CREATE TRIGGER reservation_kept BEFORE DELETE ON reservation FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reservation_notify AFTER INSERT OR UPDATE ON reservation FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
