"""Every metric. Labels come from closed lists: no order, no person, no segment is ever one."""

from prometheus_client import Counter, Histogram

INTAKE = Counter("unvarnished_intake_events", "Events at the door, by outcome: new, duplicates, dead", ["outcome"])
PROCESSED = Counter("unvarnished_processed_events", "Events handled by their processor", ["type"])
DEAD = Counter("unvarnished_dead_letters", "Events set aside because nobody can process them")
RETRIES = Counter("unvarnished_batch_retries", "Batches tried again after trouble that passes")
TIMERS = Counter("unvarnished_timers_fired", "Stored timers that became due", ["kind"])
BATCH_SECONDS = Histogram("unvarnished_batch_seconds", "Seconds from a batch's first read to its commit")
