"""Every metric of a host: its kind, its labels, what it means. HELP lines and the reference are made of this.

Law: a family that is told and does not stand here fails a test. A label's values come from a fixed list or are bounded.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    kind: str
    labels: str
    meaning: str


_REPLICA = "worker, model, target, replica"

METRICS: dict[str, Metric] = {
    # Of gateway workers.
    "arkwright_http_answers_total": Metric("counter", "worker, status", "Answers by HTTP status, of every path."),
    "arkwright_requests_total": Metric(
        "counter", f"{_REPLICA}, endpoint, finish", "Requests that were served and charged, by how they ended."
    ),
    "arkwright_tokens_total": Metric(
        "counter", f"{_REPLICA}, kind", "Billable tokens; cached input is a kind of its own."
    ),
    "arkwright_attempts_total": Metric(
        "counter", "worker, target, replica, outcome", "Attempts at an upstream, by how they ended."
    ),
    "arkwright_errors_total": Metric("counter", "worker, class", "Errors told to clients, by class."),
    "arkwright_idempotent_replays_total": Metric("counter", "worker", "Answers replayed for an Idempotency-Key."),
    "arkwright_ttft_seconds": Metric("histogram", _REPLICA, "From the arrival of a request to its first token."),
    "arkwright_inter_token_seconds": Metric(
        "histogram", _REPLICA, "Mean time between the tokens of one streamed answer."
    ),
    "arkwright_request_duration_seconds": Metric(
        "histogram", _REPLICA, "From the arrival of a request to the end of its answer."
    ),
    "arkwright_queue_seconds": Metric(
        "histogram", "worker, model", "How long requests waited that had to, until a replica had room."
    ),
    "arkwright_queue_depth": Metric(
        "gauge", "worker, model", "Admitted requests that wait for a replica to have room."
    ),
    "arkwright_requests_in_flight": Metric("gauge", "worker", "Admitted requests that are under way."),
    "arkwright_target_load": Metric(
        "gauge", "worker, target, replica", "What is under way at a replica, as the choice of replicas counts it."
    ),
    "arkwright_target_tokens": Metric(
        "gauge", "worker, target, replica", "Tokens that a replica still has to read and write, as routing counts them."
    ),
    "arkwright_target_ttft_seconds": Metric(
        "gauge",
        "worker, target, replica",
        "How soon a replica gives a first token: a decaying mean of routing.",
    ),
    "arkwright_breaker_state": Metric(
        "gauge", "worker, target, replica, state", "1 for the state that the breaker of a replica is in."
    ),
    "arkwright_connections": Metric("gauge", "worker", "Client connections that are open."),
    "arkwright_ready": Metric("gauge", "worker", "1 when the worker can serve; /readyz says what is missing."),
    "arkwright_snapshot_version": Metric("gauge", "worker", "Version of the configuration that the worker serves by."),
    "arkwright_access_log_lost_total": Metric(
        "counter", "worker", "Lines of the access log that were given up, so that no request waits for the disk."
    ),
    "arkwright_spans_lost_total": Metric(
        "counter", "worker", "Spans that were given up because the collector did not take them in time."
    ),
    "arkwright_process_cpu_seconds_total": Metric("counter", "worker", "CPU time of the worker."),
    "arkwright_process_resident_bytes": Metric("gauge", "worker", "Memory of the worker."),
    "arkwright_journal_damages": Metric("gauge", "kind", "Damage met in journals of this host."),
    # Of the control process.
    "arkwright_charges_total": Metric(
        "counter", "model, currency, usage_source", "Charges of this host that the ledger took."
    ),
    "arkwright_charged_total": Metric("counter", "model, currency", "What they come to, in units of the currency."),
    "arkwright_charged_tokens_total": Metric("counter", "model, kind", "Tokens of those charges."),
    "arkwright_feed_position": Metric("gauge", "", "The last place of the feed of charges."),
    "arkwright_feed_lag_positions": Metric("gauge", "follower", "Places of the feed that a follower has before it."),
    "arkwright_webhook_failures": Metric("gauge", "webhook", "Failures in a row of a webhook."),
    "arkwright_proof_root": Metric("gauge", "", "The last day that was sealed."),
    "arkwright_settlement_lag_bytes": Metric("gauge", "", "Bytes that journals have and the ledger has not."),
    "arkwright_settlement_lag_seconds": Metric("gauge", "", "For how long there have been some."),
    "arkwright_journals_stalled": Metric("gauge", "", "Journals that the settler can't read on."),
}
