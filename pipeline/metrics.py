"""Every metric. Labels come from closed lists: no order, no person, no segment is ever one."""

from prometheus_client import Counter, Gauge, Histogram

INTAKE = Counter("unvarnished_intake_events", "Events at the door, by outcome: new, duplicates, dead", ["outcome"])
PROCESSED = Counter("unvarnished_processed_events", "Events handled by their processor", ["type"])
DEAD = Counter("unvarnished_dead_letters", "Events set aside because nobody can process them")
RETRIES = Counter("unvarnished_batch_retries", "Batches tried again after trouble that passes")
TIMERS = Counter("unvarnished_timers_fired", "Stored timers that became due", ["kind"])
BATCH_SECONDS = Histogram("unvarnished_batch_seconds", "Seconds from a batch's first read to its commit")
ASKS = Counter("unvarnished_asks", "Questions dispatched, by what became of the attempt", ["outcome"])
ASKS_ON_THEIR_WAY = Gauge("unvarnished_asks_on_their_way", "Questions not settled yet, by state", ["state"])
ASK_SECONDS = Histogram("unvarnished_ask_seconds", "Seconds from when a question was due to the provider's answer")
ASKS_TAKEN_UP = Gauge(
    "unvarnished_asks_taken_up_timestamp_seconds",
    "Up to when everything due has been taken up, in seconds since 1970; stands still if its dispatcher does",
)
PROVIDER_STATUS = Counter("unvarnished_provider_statuses", "Status callbacks, by the state they stand for", ["state"])
INBOUND_POLLS = Counter(
    "unvarnished_inbound_polls", "Looks through the provider's list of texts to us: done, failed", ["outcome"]
)
INBOUND_FOUND = Counter("unvarnished_inbound_found", "Texts in the provider's list that no webhook had told of")
WAITING = Gauge("unvarnished_waiting_events", "Events accepted at a door and not yet durable")
READY = Gauge("unvarnished_ready", "Whether events can be taken now, as /readyz says: 1 or 0")
SPOOLED = Gauge(
    "unvarnished_spooled_calls",
    "Calls of the provider on disk and not in the database, by state: waiting, set_aside (a bug)",
    ["state"],
)
REQUESTS = Counter(
    "unvarnished_http_requests",
    "Requests answered, by the route's template (other: no route), method and class of status",
    ["listener", "route", "method", "status"],
)

# The cluster's roles.
CONSUMED = Counter("unvarnished_consumed_records", "Records whose effect is durable, by topic", ["topic"])
BATCH_RECORDS = Histogram(
    "unvarnished_batch_records", "Records a worker took at once", buckets=(1, 5, 10, 50, 100, 250, 500, 1_000, 5_000)
)
COMMIT_SECONDS = Histogram("unvarnished_offset_commit_seconds", "Seconds for the broker to note how far a worker is")
REBALANCE_SECONDS = Histogram(
    "unvarnished_rebalance_seconds", "Seconds a worker was without partitions while its group shared them out anew"
)
LAG = Gauge("unvarnished_lag_records", "Records of a worker's partitions that have had no effect yet", ["topic"])
STALLED = Gauge("unvarnished_worker_stalled", "1 while there is lag and nothing is processed")
RELAYED = Counter("unvarnished_relayed_events", "Events of the journal that were published")
RELAY_SECONDS = Histogram("unvarnished_relay_seconds", "Seconds from reading a batch of the outbox to its deletion")
OUTBOX = Gauge("unvarnished_outbox_events", "Events of the journal that wait to be published")
OUTBOX_SECONDS = Gauge("unvarnished_outbox_oldest_seconds", "Seconds that the oldest of them has waited")
# What alerts watch is there from the start: a first one that brings its own series would be no increase.
_OUTCOMES = {
    INTAKE: ("new", "duplicates", "dead"),
    ASKS: (
        *("accepted", "not_accepted", "rejected", "unknown", "found", "absent", "not_looked", "unresolved"),
        *("opted_out", "given_up", "recovered"),
    ),
}
for counter, outcomes in _OUTCOMES.items():
    for outcome in outcomes:
        counter.labels(outcome)
