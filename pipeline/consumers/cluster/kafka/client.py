"""The way to a Kafka cluster: how its clients are opened, and its failures as sentences for whoever runs us."""

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from pipeline.domain.events.contract import MAX_EVENT_BYTES
from pipeline.settings import Settings

_FIRST_ANSWER = 10  # seconds for any broker to answer; a managed one far away needs about one
RECORD_BYTES = 2 * MAX_EVENT_BYTES  # that a client lets pass: what is too much, the topic says
_CLIENT = "kafka"  # the logger above all of the client's
_LOST = re.compile(r"Connection lost: (?:.*Error: )?(?P<why>.+)", re.DOTALL)


class BrokerTrouble(Exception):
    """The cluster is away, or refuses what was asked of it."""


def options(settings: Settings) -> dict[str, Any]:
    """What every client of kafka-python is opened with. Holds the password: never to be printed."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "client_id": "unvarnished",
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_ca_file is not None:
        found["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_sasl_password is not None:
        found["sasl_mechanism"] = settings.kafka_sasl_mechanism
        found["sasl_plain_username"] = settings.kafka_sasl_user
        found["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return found


def producer(settings: Settings) -> KafkaProducer:
    """What publishes in bulk: idempotent, and acknowledged by every copy. Raises KafkaError."""
    return KafkaProducer(
        bootstrap_timeout_ms=_FIRST_ANSWER * 1_000,
        acks="all",
        linger_ms=5,  # milliseconds
        batch_size=200_000,  # bytes
        max_request_size=RECORD_BYTES,
        max_block_ms=3_000,  # for a topic's partitions to be known
        request_timeout_ms=5_000,
        delivery_timeout_ms=6_000,  # then it counts as failed, and is published again
        **options(settings),
    )


def looker(settings: Settings) -> KafkaAdminClient:
    """A client to look at offsets with, for long. Raises KafkaError."""
    return KafkaAdminClient(bootstrap_timeout_ms=_FIRST_ANSWER * 1_000, request_timeout_ms=10_000, **options(settings))


@contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """A client to look at topics and to make them. Raises BrokerTrouble, also for what goes wrong inside."""
    servers = settings.kafka_bootstrap_servers
    try:
        with _opened(settings) as client:
            yield client
    except KafkaError as error:
        raise BrokerTrouble(f"Kafka at {servers} does not do it: {error}") from error


def _opened(settings: Settings) -> KafkaAdminClient:
    servers = settings.kafka_bootstrap_servers
    nobody = _nobody_listens(servers)
    if nobody is not None:
        raise _unusable(servers, nobody)
    heard = Attempts()
    logger = logging.getLogger(_CLIENT)
    logger.addHandler(heard)
    try:
        return KafkaAdminClient(bootstrap_timeout_ms=_FIRST_ANSWER * 1_000, **options(settings))
    except KafkaTimeoutError as error:
        raise _unusable(servers, heard.why(settings.kafka_sasl_user is not None) or str(error)) from error
    finally:
        logger.removeHandler(heard)


def _unusable(servers: str, why: str) -> BrokerTrouble:
    return BrokerTrouble(f"no Kafka broker can be used at {servers} (UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS): {why}")


def _nobody_listens(servers: str) -> str | None:
    """Why none of the servers can be connected to; None if one can. The client would try until its time is up."""
    why = ""
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _FIRST_ANSWER).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return None
    return why


class Attempts(logging.Handler):
    """The client tries again until its time is up, and tells only its log why each attempt failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = _LOST.search(record.getMessage())
        if found:
            self._reasons.append(" ".join(found["why"].split()))

    def why(self, signs_in: bool) -> str:
        """What the broker said of the user, if it said anything; else the last reason."""
        said = next((reason for reason in self._reasons if "Authentication" in reason), None)
        if said is not None or not self._reasons:
            return said or ""
        last = self._reasons[-1]
        unclear = signs_in and "disconnected" in last
        return f"{last}, which is also how a wrong user or password can look" if unclear else last
