"""Opens clients of a Kafka cluster, and turns its failures into error messages for the operator."""

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from pipeline.domain.events.contract import MAX_EVENT_BYTES
from pipeline.errors import UserError
from pipeline.settings import Settings

_BOOTSTRAP_SECONDS = 10  # for any broker to answer; a managed one in another region needs about one
RECORD_BYTES = 2 * MAX_EVENT_BYTES  # limit of the clients, so high that the limit of the topic decides
_CLIENT = "kafka"  # the parent of all the client's loggers
_LOST = re.compile(r"Connection lost: (?:.*Error: )?(?P<why>.+)", re.DOTALL)


class BrokerError(UserError):
    """The cluster is unavailable, or refuses a request."""


def options(settings: Settings) -> dict[str, Any]:
    """The options of every client of kafka-python. They contain the password: do not log them."""
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
    """A producer for the relay: idempotent, acknowledged by all in-sync replicas. Raises KafkaError."""
    return KafkaProducer(
        bootstrap_timeout_ms=_BOOTSTRAP_SECONDS * 1_000,
        acks="all",
        linger_ms=5,  # milliseconds
        batch_size=200_000,  # bytes
        max_request_size=RECORD_BYTES,
        max_block_ms=3_000,  # for the metadata of a topic
        request_timeout_ms=5_000,
        delivery_timeout_ms=6_000,  # then it counts as failed, and is published again
        **options(settings),
    )


def offset_client(settings: Settings) -> KafkaAdminClient:
    """A long-lived client that reads offsets. Raises KafkaError."""
    return KafkaAdminClient(
        bootstrap_timeout_ms=_BOOTSTRAP_SECONDS * 1_000, request_timeout_ms=10_000, **options(settings)
    )


@contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """A client that describes and creates topics. Raises BrokerError, also for a KafkaError raised in the block."""
    servers = settings.kafka_bootstrap_servers
    try:
        with _opened(settings) as client:
            yield client
    except KafkaError as error:
        raise BrokerError(f"Kafka at {servers} refuses: {error}") from error


def _opened(settings: Settings) -> KafkaAdminClient:
    servers = settings.kafka_bootstrap_servers
    refused = _no_server_listens(servers)
    if refused is not None:
        raise _unavailable(servers, refused)
    attempts = Attempts()
    logger = logging.getLogger(_CLIENT)
    logger.addHandler(attempts)
    try:
        return KafkaAdminClient(bootstrap_timeout_ms=_BOOTSTRAP_SECONDS * 1_000, **options(settings))
    except KafkaTimeoutError as error:
        raise _unavailable(servers, attempts.reason(settings.kafka_sasl_user is not None) or str(error)) from error
    finally:
        logger.removeHandler(attempts)


def _unavailable(servers: str, why: str) -> BrokerError:
    return BrokerError(f"no Kafka broker available at {servers} (UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS): {why}")


def _no_server_listens(servers: str) -> str | None:
    """Why no server accepts a connection; None if one does. The client would retry until its timeout."""
    why = ""
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _BOOTSTRAP_SECONDS).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return None
    return why


class Attempts(logging.Handler):
    """Collects the reasons of failed attempts: the client only logs them, and retries until its timeout."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = _LOST.search(record.getMessage())
        if found:
            self._reasons.append(" ".join(found["why"].split()))

    def reason(self, has_user: bool) -> str:
        """Why authentication failed, if it did; else the reason of the last attempt."""
        authentication = next((reason for reason in self._reasons if "Authentication" in reason), None)
        if authentication is not None or not self._reasons:
            return authentication or ""
        last = self._reasons[-1]
        unclear = has_user and "disconnected" in last
        return f"{last}; a wrong user or password can look like this, too" if unclear else last
