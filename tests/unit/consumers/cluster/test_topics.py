"""The wanted topics, and the differences of existing ones."""

import logging
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from pydantic import ValidationError

from pipeline.consumers.cluster.kafka.client import Attempts, options
from pipeline.consumers.cluster.kafka.topics import Difference, Found, Topic, differences, wanted
from pipeline.domain.events.contract import KINDS, MAX_EVENT_BYTES
from pipeline.settings import Settings

HOUR = 3_600_000
# As kafka-python 3.0.12 logs it, after a user was refused, a connection closed, a certificate not trusted.
_LOST = "<KafkaConnection node_id=bootstrap-0 (disconnected)>: Connection lost: "
HUNG_UP = f"{_LOST}KafkaConnectionError: socket disconnected"
REFUSED = (
    f"{_LOST}[Error 58] SaslAuthenticationFailedError: SaslAuthenticationFailedError: "
    "Authentication failed: Invalid username or password"
)
UNTRUSTED = f"{_LOST}KafkaConnectionError: Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
SASL: dict[str, Any] = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_user": "ops",
    "kafka_sasl_password": "open sesame",
}


def topic(**known: Any) -> Topic:
    return Topic("orders", 12, None, {"retention.ms": "1000"})._replace(**known)


def found(**known: Any) -> Found:
    return Found(12, 3, {"retention.ms": "1000", "cleanup.policy": "delete"})._replace(**known)


def by_name(**settings: Any) -> dict[str, Topic]:
    return {each.name: each for each in wanted(Settings(**settings))}


def test_the_topics_of_the_contract_the_dead_letters_and_the_internal_topics_are_created() -> None:
    ours = {"dead-letters", "unvarnished-events", "unvarnished-evidence"}
    assert set(by_name()) == {kind.topic for kind in KINDS.values()} | ours


def test_each_name_begins_with_the_prefix() -> None:
    assert set(by_name(kafka_topic_prefix="eu.")) == {f"eu.{name}" for name in by_name()}


def test_each_kind_of_topic_has_its_own_retention() -> None:
    topics = by_name(
        kafka_input_retention_hours=1, kafka_output_retention_hours=2, kafka_dead_letter_retention_hours=0.5
    )

    assert {name: int(each.configs["retention.ms"]) / HOUR for name, each in topics.items()} == {
        "orders": 1,
        "deliveries": 1,
        "feedback": 2,
        "truth": 2,
        "alerts": 2,
        "cases": 2,
        "dead-letters": 0.5,
        "unvarnished-events": 1,
        "unvarnished-evidence": 1,
    }


def test_no_event_is_dropped_by_compaction_or_by_its_own_time() -> None:
    for each in by_name().values():
        assert each.configs["cleanup.policy"] == "delete"
        assert each.configs["message.timestamp.type"] == "LogAppendTime"


def test_the_largest_event_fits_in_its_topic_and_in_the_dead_letter_topic() -> None:
    most = {name: int(each.configs["max.message.bytes"]) for name, each in by_name().items()}

    dead_letters = most.pop("dead-letters")
    assert min(most.values()) > MAX_EVENT_BYTES
    assert dead_letters > max(most.values())


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_with_several_replicas_an_acknowledgement_means_more_than_one_copy(copies: int, in_sync: str) -> None:
    for each in by_name(kafka_replication=copies).values():
        assert each.replication == copies
        assert each.configs["min.insync.replicas"] == in_sync


def test_without_a_set_replication_the_broker_decides() -> None:
    for each in by_name().values():
        assert each.replication is None
        assert "min.insync.replicas" not in each.configs


def test_a_topic_as_set_has_no_differences() -> None:
    assert differences(topic(), found()) == []
    assert differences(topic(replication=3), found()) == []


@pytest.mark.parametrize("partitions", [3, 24])
def test_another_number_of_partitions_is_a_difference(partitions: int) -> None:
    assert differences(topic(), found(partitions=partitions)) == [Difference("partitions", "12", str(partitions))]


def test_fewer_replicas_are_a_difference() -> None:
    assert differences(topic(replication=3), found(replication=1)) == [Difference("replication", "3", "1")]


def test_a_changed_configuration_is_a_difference_unless_it_is_not_set() -> None:
    assert differences(topic(), found(configs={"retention.ms": "7", "flush.ms": "1"})) == [
        Difference("retention.ms", "1000", "7")
    ]


def test_an_unreadable_configuration_is_a_difference() -> None:
    assert differences(topic(), found(configs={})) == [Difference("retention.ms", "1000", "unknown")]


def test_the_client_knows_every_option_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.touch()
    given = options(Settings(**SASL, kafka_ca_file=file, kafka_bootstrap_servers="a:1,b:2"))

    assert set(given) <= set(KafkaAdminClient.DEFAULT_CONFIG)
    assert given["bootstrap_servers"] == ["a:1", "b:2"]
    assert given["sasl_plain_password"] == "open sesame"


@pytest.mark.parametrize(
    ("errors", "signs_in", "expected"),
    [
        ([HUNG_UP, REFUSED, HUNG_UP], True, "Authentication failed: Invalid username or password"),
        ([UNTRUSTED, HUNG_UP], False, "socket disconnected"),
        ([HUNG_UP], True, "socket disconnected; a wrong user or password can look like this, too"),
        ([UNTRUSTED], True, "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        (["Bootstrap failed: KafkaTimeoutError"], True, ""),
    ],
)
def test_the_reason_of_a_refused_connection_comes_from_the_clients_log(
    errors: list[str], signs_in: bool, expected: str
) -> None:
    attempts = Attempts()
    for text in errors:
        attempts.handle(logging.makeLogRecord({"msg": text, "levelno": logging.ERROR}))

    assert attempts.reason(signs_in) == expected


def test_the_password_is_not_printed_with_the_settings() -> None:
    assert "sesame" not in repr(Settings(**SASL))


@pytest.mark.parametrize(
    "wrong",
    [
        SASL | {"kafka_security_protocol": "SSL"},
        SASL | {"kafka_sasl_user": None},
        SASL | {"kafka_sasl_password": None},
        {"kafka_security_protocol": "SASL_PLAINTEXT"},
        {"kafka_bootstrap_servers": "broker"},
        {"kafka_bootstrap_servers": "broker:9092, other:9092"},
        {"kafka_topic_prefix": "eu/"},
    ],
)
def test_contradictory_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)
