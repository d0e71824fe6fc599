"""The contract's topics on a Kafka cluster: made where they are missing, and told where they are not as they are set.

What is there is never changed. A topic with more partitions sends an order's events to another partition than before,
past those that still wait there; a shorter retention deletes; and whoever runs the cluster may have meant it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from pipeline.consumers.cluster.kafka.client import BrokerTrouble, admin
from pipeline.domain.events.contract import KINDS, MAX_EVENT_BYTES
from pipeline.settings import Settings

GROUP = "unvarnished"  # of the workers; like each topic behind the prefix
DEAD_LETTERS = "dead-letters"
RECEIVED = ("orders", "deliveries")
EVENTS, EVIDENCE = (
    "unvarnished-events",
    "unvarnished-evidence",
)  # between our own processes: nobody else writes or reads
TOPICS = (*dict.fromkeys(kind.topic for kind in KINDS.values()), DEAD_LETTERS, EVENTS, EVIDENCE)

_HEADERS = 64 << 10  # bytes beside the event: key, headers and the batch around them
_HOUR = 3_600_000  # milliseconds


class Topic(NamedTuple):
    """A topic as it is to be; `replication` None leaves it to the broker."""

    name: str
    partitions: int
    replication: int | None
    configs: Mapping[str, str]


class Found(NamedTuple):
    """A topic as it is; `replication` is that of the partition with the fewest copies."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


class Difference(NamedTuple):
    """Something about a topic that is not as it is set."""

    name: str
    wanted: str
    found: str


class Outcome(NamedTuple):
    """What became of a topic. `differences` tell what is not as it is set; nothing was changed about them."""

    topic: str
    state: Literal["created", "existed"]
    differences: Sequence[Difference]


def wanted(settings: Settings) -> list[Topic]:
    """The contract's topics under these settings."""
    hours = dict.fromkeys(TOPICS, settings.kafka_told_hours)
    hours |= dict.fromkeys((*RECEIVED, EVENTS, EVIDENCE), settings.kafka_received_hours)
    hours[DEAD_LETTERS] = settings.kafka_dead_letter_hours
    copies = settings.kafka_replication
    safe = {} if copies is None else {"min.insync.replicas": str(max(1, copies - 1))}
    return [
        Topic(settings.kafka_topic_prefix + name, settings.kafka_partitions, copies, _configs(name, hours[name]) | safe)
        for name in TOPICS
    ]


def _configs(name: str, hours: float) -> dict[str, str]:
    most = MAX_EVENT_BYTES + _HEADERS
    return {
        "cleanup.policy": "delete",  # every event counts, not only the last one of an order
        "retention.ms": str(round(hours * _HOUR)),
        # Kept from when it came: history that is sent with its own times would be deleted at once.
        "message.timestamp.type": "LogAppendTime",
        # What any topic took has to fit among the dead letters, with the reason.
        "max.message.bytes": str(most + _HEADERS if name == DEAD_LETTERS else most),
    }


def differences(topic: Topic, found: Found) -> list[Difference]:
    """What is not as it is set, partitions first."""
    pairs = [("partitions", str(topic.partitions), str(found.partitions))]
    if topic.replication is not None:
        pairs.append(("replication", str(topic.replication), str(found.replication)))
    pairs += [(name, value, found.configs.get(name, "not told")) for name, value in topic.configs.items()]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def create(settings: Settings) -> list[Outcome]:
    """Make the topics that are missing, and compare those that are there. Raises BrokerTrouble."""
    topics = wanted(settings)
    names = [topic.name for topic in topics]
    with admin(settings) as client:
        found = _read(client, names)
        made = set[str]()
        missing = [topic for topic in topics if topic.name not in found]
        if missing:
            made = _make(client, missing)
            found = _read(client, names)
    return [
        Outcome(topic.name, "created" if topic.name in made else "existed", differences(topic, found[topic.name]))
        for topic in topics
    ]


def compare(settings: Settings) -> tuple[list[str], list[str]]:
    """The names of the topics that are missing, and of those that are not as they are set. Raises BrokerTrouble."""
    topics = wanted(settings)
    with admin(settings) as client:
        found = _read(client, [topic.name for topic in topics])
    missing = [topic.name for topic in topics if topic.name not in found]
    return missing, [t.name for t in topics if t.name in found and differences(t, found[t.name])]


def _read(client: KafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    told = {topic["name"]: topic for topic in client.describe_topics(names)}
    for name, topic in told.items():
        _check(name, topic, UnknownTopicOrPartitionError.errno)
    there = [name for name, topic in told.items() if not topic["error_code"]]
    if not there:
        return {}
    kind = ConfigResourceType.TOPIC
    configs = client.describe_configs([ConfigResource(kind, name) for name in there], config_filter="all")["topic"]
    return {name: _found(told[name]["partitions"], configs.get(name, {})) for name in there}


def _found(partitions: Collection[Mapping[str, Any]], configs: Mapping[str, Mapping[str, Any]]) -> Found:
    copies = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    return Found(len(partitions), copies, {name: str(config["value"]) for name, config in configs.items()})


def _make(client: KafkaAdminClient, topics: Sequence[Topic]) -> set[str]:
    """The names of those that were made: another process may have been first."""
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
        said = answer.get("error_message") or for_code(code).description  # type: ignore[no-untyped-call]
        raise BrokerTrouble(f"Kafka refuses topic {name}: {said}")
