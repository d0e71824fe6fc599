"""`unvarnished topics create` against a real broker, and against none."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka import KafkaAdminClient
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.consumers.cluster.kafka import topics
from pipeline.settings import Settings

OURS = ("unvarnished-events", "unvarnished-evidence")
NAMES = ("orders", "deliveries", "feedback", "truth", "alerts", "cases", "dead-letters", *OURS)


def create(**env: str) -> Any:
    """The output of the command as JSON."""
    done = run("--format", "json", **env)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def run(*arguments: str, **env: str) -> Any:
    variables = {f"UNVARNISHED_KAFKA_{name.upper()}": value for name, value in env.items()}
    return CliRunner().invoke(app, ["topics", "create", *arguments], env=variables, catch_exceptions=False)


def test_all_topics_are_created_as_set_and_a_second_run_changes_nothing(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    cluster = {"bootstrap_servers": kafka_bootstrap, "topic_prefix": topic_prefix, "partitions": "2"}

    first, second = create(**cluster), create(**cluster)

    assert first == [{"topic": topic_prefix + name, "state": "created", "differences": []} for name in NAMES]
    assert second == [topic | {"state": "existed"} for topic in first]
    with KafkaAdminClient(bootstrap_servers=kafka_bootstrap) as admin:
        made = admin.describe_topics([topic_prefix + name for name in NAMES])
    assert {len(topic["partitions"]) for topic in made} == {2}


def test_an_existing_topic_is_reported_and_not_changed(kafka_bootstrap: str, topic_prefix: str) -> None:
    cluster = {"bootstrap_servers": kafka_bootstrap, "topic_prefix": topic_prefix, "partitions": "2"}
    mine = f"{topic_prefix}orders"
    with KafkaAdminClient(bootstrap_servers=kafka_bootstrap) as admin:
        admin.create_topics({mine: {"num_partitions": 1, "configs": {"retention.ms": "1000"}}}, wait_for_metadata=True)

    for _ in range(2):
        topic = create(**cluster, input_retention_hours="24")[0]
        assert (topic["topic"], topic["state"]) == (mine, "existed")
        assert {"name": "partitions", "wanted": "2", "found": "1"} in topic["differences"]
        assert {"name": "retention.ms", "wanted": "86400000", "found": "1000"} in topic["differences"]
    assert f"{mine}: exists\n  partitions is 1, the settings say 2" in run(**cluster).stdout


def test_two_processes_can_create_topics_at_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=1)
    together = threading.Barrier(2)

    def _create() -> list[topics.TopicResult]:
        together.wait()
        return topics.create(settings)

    with ThreadPoolExecutor(2) as pool:
        both = [each.result() for each in (pool.submit(_create), pool.submit(_create))]

    for outcomes in zip(*both, strict=True):
        assert sorted(outcome.state for outcome in outcomes) in (["created", "existed"], ["existed", "existed"])
        assert [outcome.differences for outcome in outcomes] == [[], []]


def test_a_refusal_of_the_broker_is_one_sentence_with_its_reason(kafka_bootstrap: str, topic_prefix: str) -> None:
    done = run(bootstrap_servers=kafka_bootstrap, topic_prefix=topic_prefix, replication="50")

    assert done.exit_code == 2
    assert done.stderr.startswith(f"unvarnished: Kafka refuses topic {topic_prefix}")
    assert "50" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unavailable_broker_is_one_sentence_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unavailable = f"127.0.0.1:{listener.getsockname()[1]},nowhere.invalid:9092"

    done = run(bootstrap_servers=unavailable)

    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"unvarnished: no Kafka broker available at {unavailable} (UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS): "
    )
    assert done.stderr.count("\n") == 1
