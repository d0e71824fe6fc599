"""Every metric. The values of labels come from closed or bounded lists: no order, person or account is ever one."""

from prometheus_client import Counter, Gauge, Histogram

INTAKE = Counter(
    "unvarnished_intake_events", "Events received, by outcome: new, duplicates, dead, conflicts", ["outcome"]
)
PROCESSED = Counter("unvarnished_processed_events", "Events processed, by type", ["type"])
DEAD = Counter("unvarnished_dead_letters", "Events stored as dead letters because they could not be processed")
EXPIRED = Counter("unvarnished_expired_rows", "Rows deleted because of their age, by table", ["table"])
RETRIES = Counter("unvarnished_batch_retries", "Batches repeated after a transient error")
TIMERS = Counter("unvarnished_timers_fired", "Stored timers that became due", ["kind"])
BATCH_SECONDS = Histogram("unvarnished_batch_seconds", "Seconds from a batch's first read to its commit")
ASKS = Counter("unvarnished_asks", "Attempts to send a question, by outcome", ["outcome"])
ASKS_ON_THEIR_WAY = Gauge(
    "unvarnished_asks_on_their_way", "Questions that are not in a final state, by state", ["state"]
)
ASK_SECONDS = Histogram("unvarnished_ask_seconds", "Seconds from a question's due time to the provider's response")
ASKS_TAKEN_UP = Gauge(
    "unvarnished_asks_taken_up_timestamp_seconds",
    "Time, in seconds since 1970, up to which every due question was handled; does not advance if the dispatcher stops",
)
PROVIDER_STATUS = Counter(
    "unvarnished_provider_statuses", "Status callbacks of the provider, by resulting state", ["state"]
)
INBOUND_POLLS = Counter(
    "unvarnished_inbound_polls",
    "Polls of the provider's list of received messages, by outcome: done, failed",
    ["outcome"],
)
INBOUND_FOUND = Counter(
    "unvarnished_inbound_found", "Received messages that a poll found and no webhook call had reported"
)
TEXTS_READ = Counter(
    "unvarnished_texts_read",
    "Texts of customers, by language and what the reader made of them: coded, words, unclear, control, automatic",
    ["language", "result"],
)
WAITING = Gauge("unvarnished_waiting_events", "Events received and not stored yet")
READY = Gauge("unvarnished_ready", "1 if events can be received now, as /readyz says, else 0")
CLOCK_SUSPECT = Gauge(
    "unvarnished_clock_suspect",
    "1 while this machine's clock cannot be believed and nothing is received or sent, else 0",
)
LEVEL_SEGMENTS = Gauge("unvarnished_level_segments", "Segments seen so far, by configured segment level", ["level"])
LEVEL_CAPACITY = Gauge(
    "unvarnished_level_capacity",
    "Segments that a level is configured for; with more of them, its limit of false alerts does not hold",
    ["level"],
)
SPOOLED = Gauge(
    "unvarnished_spooled_calls",
    "Webhook calls of the provider on disk and not in the database, by state: waiting, set_aside (after a bug)",
    ["state"],
)
REQUESTS = Counter(
    "unvarnished_http_requests",
    "Requests answered, by listener, the route's template (other: no route), method and class of status",
    ["listener", "route", "method", "status"],
)

# Receivers of incidents. Their names come from the configuration file.
NOTICES = Counter(
    "unvarnished_notices",
    "Notices of incidents, by receiver and outcome: delivered, retried, dead, superseded, muted, refreshed",
    ["receiver", "outcome"],
)
NOTICE_SECONDS = Histogram(
    "unvarnished_notice_seconds",
    "Seconds from a notice's routing to the receiver's acceptance",
    ["receiver"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200),
)
NOTICES_WAITING = Gauge("unvarnished_notices_waiting", "Notices that a receiver has not accepted", ["receiver"])
NOTICES_OLDEST = Gauge(
    "unvarnished_notices_oldest_seconds",
    "Seconds for which the longest overdue notice of a receiver has waited; 0: none is overdue",
    ["receiver"],
)
NOTICES_DEAD = Gauge("unvarnished_notices_dead", "Notices to a receiver that were given up", ["receiver"])

# Incidents, cases and figures, read once a minute. Severities and signals are closed lists. The levels come from a
# setting, and each has a bounded number of segments.
INCIDENTS = Gauge("unvarnished_incidents_open", "Incidents that go on, by severity and signal", ["severity", "signal"])
READINGS_REVIEWED = Gauge(
    "unvarnished_readings_reviewed",
    "Suggested readings of replies in the inbox that people have decided about, by language: confirmed, corrected",
    ["language", "decision"],
)
INBOX_WAITING = Gauge("unvarnished_inbox_waiting", "Replies in the inbox that wait for a person")
CASES = Gauge("unvarnished_cases_open", "Cases that are not closed, by severity", ["severity"])
CASES_OVERDUE = Gauge("unvarnished_cases_overdue", "Cases that are not closed and whose due time has passed")
OLDEST_CASE = Gauge(
    "unvarnished_cases_oldest_seconds", "Seconds since the opening of the case that is open longest; 0: none is open"
)
_SEGMENT = ["level", "segment"]
CLAIMED = Gauge("unvarnished_claimed_on_time_ratio", "Orders claimed on time, of the last 30 days", _SEGMENT)
EXPERIENCED = Gauge(
    "unvarnished_experienced_on_time_ratio", "Orders on time for customers, of the last 30 days", _SEGMENT
)
GAP = Gauge("unvarnished_on_time_gap_ratio", "Claimed minus experienced on time, of the last 30 days", _SEGMENT)
COVERAGE = Gauge("unvarnished_coverage_ratio", "Completed orders with an answer, of the last 30 days", _SEGMENT)
FOLDED = Gauge("unvarnished_segments_folded", "Segments of a level that share the series `other`", ["level"])

# The roles of a cluster.
CONSUMED = Counter("unvarnished_consumed_records", "Records whose effect is durable, by topic", ["topic"])
BATCH_RECORDS = Histogram(
    "unvarnished_batch_records", "Records in a worker's batch", buckets=(1, 5, 10, 50, 100, 250, 500, 1_000, 5_000)
)
COMMIT_SECONDS = Histogram("unvarnished_offset_commit_seconds", "Seconds for the broker to commit a worker's offsets")
REBALANCE_SECONDS = Histogram(
    "unvarnished_rebalance_seconds", "Seconds that a worker was without partitions while its group was rebalanced"
)
LAG = Gauge(
    "unvarnished_lag_records", "Records of a worker's partitions that are not processed yet, by topic", ["topic"]
)
STALLED = Gauge("unvarnished_worker_stalled", "1 while there is lag and nothing is processed, else 0")
TOPIC_RECREATED = Counter(
    "unvarnished_topic_recreations",
    "Times that a topic between relay and workers was found to be deleted and created again",
)
RELAYED = Counter("unvarnished_relayed_events", "Events of the journal that were published to Kafka")
RELAY_SECONDS = Histogram(
    "unvarnished_relay_seconds", "Seconds from reading a batch of the outbox to deleting it from the outbox"
)
OUTBOX = Gauge("unvarnished_outbox_events", "Events of the journal that wait to be published to Kafka")
OUTBOX_SECONDS = Gauge(
    "unvarnished_outbox_oldest_seconds", "Seconds since the oldest waiting event was put in the outbox"
)

# Series that alerts watch exist from the start: the first event of a new series would not count as an increase.
_OUTCOMES = {
    INTAKE: ("new", "duplicates", "dead", "conflicts"),
    ASKS: (
        *("accepted", "not_accepted", "rejected", "unknown", "found", "absent", "not_looked", "unresolved"),
        *("opted_out", "no_channel", "given_up", "recovered"),
    ),
}
for counter, outcomes in _OUTCOMES.items():
    for outcome in outcomes:
        counter.labels(outcome)
