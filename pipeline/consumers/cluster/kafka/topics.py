"""The topics of the contract on a Kafka cluster: creates missing ones, reports those that differ from the settings.

An existing topic is never changed. More partitions would send the events of an order to another partition, ahead of
those that wait in the old one; a shorter retention deletes; and the cluster's operator may have chosen the difference.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from pipeline.consumers.cluster.kafka.client import BrokerError, admin
from pipeline.domain.events.contract import KINDS, MAX_EVENT_BYTES, MAX_STORED_BYTES
from pipeline.settings import Settings

GROUP = "unvarnished"  # of the workers; the prefix applies, as to each topic
DEAD_LETTERS = "dead-letters"
RECEIVED = ("orders", "deliveries")
EVENTS, EVIDENCE = (
    "unvarnished-events",
    "unvarnished-evidence",
)  # between our own processes only
TOPICS = (*dict.fromkeys(kind.topic for kind in KINDS.values()), DEAD_LETTERS, EVENTS, EVIDENCE)

_OVERHEAD = 64 << 10  # bytes of a record besides the event: key, headers and the batch around them
_HOUR = 3_600_000  # milliseconds


class Topic(NamedTuple):
    """A topic as it should be. `replication` None: the broker decides."""

    name: str
    partitions: int
    replication: int | None
    configs: Mapping[str, str]


class Found(NamedTuple):
    """A topic as it is. `replication`: of the partition with the fewest replicas."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


class Difference(NamedTuple):
    """A property of a topic that differs from the settings."""

    name: str
    wanted: str
    found: str


class TopicResult(NamedTuple):
    """What was done about a topic. Nothing: it existed, and may have `differences`, which are only reported."""

    topic: str
    state: Literal["created", "existed"]
    differences: Sequence[Difference]


def wanted(settings: Settings) -> list[Topic]:
    """The topics of the contract, with these settings."""
    hours = dict.fromkeys(TOPICS, settings.kafka_output_retention_hours)
    hours |= dict.fromkeys((*RECEIVED, EVENTS, EVIDENCE), settings.kafka_input_retention_hours)
    hours[DEAD_LETTERS] = settings.kafka_dead_letter_retention_hours
    copies = settings.kafka_replication
    safe = {} if copies is None else {"min.insync.replicas": str(max(1, copies - 1))}
    return [
        Topic(settings.kafka_topic_prefix + name, settings.kafka_partitions, copies, _configs(name, hours[name]) | safe)
        for name in TOPICS
    ]


def _configs(name: str, hours: float) -> dict[str, str]:
    most = {EVENTS: MAX_STORED_BYTES, DEAD_LETTERS: MAX_STORED_BYTES + _OVERHEAD}.get(name, MAX_EVENT_BYTES) + _OVERHEAD
    return {
        "cleanup.policy": "delete",  # compaction would leave only the last event of an order
        "retention.ms": str(round(hours * _HOUR)),
        # Retention counts from the arrival: history with its own times would be deleted at once.
        "message.timestamp.type": "LogAppendTime",
        # What fits in any topic has to fit among the dead letters, with the reason.
        "max.message.bytes": str(most),
    }


def differences(topic: Topic, found: Found) -> list[Difference]:
    """The properties that differ, partitions first."""
    pairs = [("partitions", str(topic.partitions), str(found.partitions))]
    if topic.replication is not None:
        pairs.append(("replication", str(topic.replication), str(found.replication)))
    pairs += [(name, value, found.configs.get(name, "unknown")) for name, value in topic.configs.items()]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def create(settings: Settings) -> list[TopicResult]:
    """Create the missing topics, and compare the existing ones with the settings. Raises BrokerError."""
    topics = wanted(settings)
    names = [topic.name for topic in topics]
    with admin(settings) as client:
        found = _read(client, names)
        created = set[str]()
        missing = [topic for topic in topics if topic.name not in found]
        if missing:
            created = _create(client, missing)
            found = _read(client, names)
    return [
        TopicResult(
            topic.name, "created" if topic.name in created else "existed", differences(topic, found[topic.name])
        )
        for topic in topics
    ]


def compare(settings: Settings) -> tuple[list[str], list[str]]:
    """The names of the missing topics, and of those that differ from the settings. Raises BrokerError."""
    topics = wanted(settings)
    with admin(settings) as client:
        found = _read(client, [topic.name for topic in topics])
    missing = [topic.name for topic in topics if topic.name not in found]
    return missing, [t.name for t in topics if t.name in found and differences(t, found[t.name])]


def _read(client: KafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    described = {topic["name"]: topic for topic in client.describe_topics(names)}
    for name, topic in described.items():
        _check(name, topic, UnknownTopicOrPartitionError.errno)
    existing = [name for name, topic in described.items() if not topic["error_code"]]
    if not existing:
        return {}
    kind = ConfigResourceType.TOPIC
    configs = client.describe_configs([ConfigResource(kind, name) for name in existing], config_filter="all")["topic"]
    return {name: _found(described[name]["partitions"], configs.get(name, {})) for name in existing}


def _found(partitions: Collection[Mapping[str, Any]], configs: Mapping[str, Mapping[str, Any]]) -> Found:
    copies = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    return Found(len(partitions), copies, {name: str(config["value"]) for name, config in configs.items()})


def _create(client: KafkaAdminClient, topics: Sequence[Topic]) -> set[str]:
    """Returns the names of those created: another process may have created some."""
    requests = {topic.name: _request(topic) for topic in topics}
    answers = client.create_topics(requests, raise_errors=False)["topics"]
    for answer in answers:
        _check(answer["name"], answer, TopicAlreadyExistsError.errno)
    client.wait_for_topics(list(requests))
    return {answer["name"] for answer in answers if not answer["error_code"]}


def _request(topic: Topic) -> dict[str, Any]:
    copies = -1 if topic.replication is None else topic.replication
    return {"num_partitions": topic.partitions, "replication_factor": copies, "configs": dict(topic.configs)}


def _check(name: str, answer: Mapping[str, Any], expected: int) -> None:
    code = answer["error_code"]
    if code not in (0, expected):
        reason = answer.get("error_message") or for_code(code).description  # type: ignore[no-untyped-call]
        raise BrokerError(f"Kafka refuses topic {name}: {reason}")
