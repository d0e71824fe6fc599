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
PROVIDER_STATUS = Counter("unvarnished_provider_statuses", "Status callbacks, by the state they stand for", ["state"])
INBOUND_POLLS = Counter(
    "unvarnished_inbound_polls", "Looks through the provider's list of texts to us: done, failed", ["outcome"]
)
INBOUND_FOUND = Counter("unvarnished_inbound_found", "Texts in the provider's list that no webhook had told of")
WAITING = Gauge("unvarnished_waiting_events", "Events accepted at a door and not yet durable")
REQUESTS = Counter(
    "unvarnished_http_requests",
    "Requests answered, by the route's template (other: no route), method and class of status",
    ["listener", "route", "method", "status"],
)
