"""A Kafka broker for the tests, from what the machine has: one named by the environment, a container, or a plain
process (`deploy/kafka/native.py`). If none is available, the error contains every reason."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient

from deploy.kafka import native
from tests.support.servers.ways import Unavailable, docker_answers, first_that_works, one_line

ENVIRONMENT_VARIABLE = "UNVARNISHED_TEST_KAFKA"
IMAGE = f"apache/kafka:{native.kafka_version()}"


@dataclass(frozen=True)
class KafkaBroker:
    """A running broker without security, shared by all tests: the topics of each test have their own prefix."""

    bootstrap: str
    origin: str
    _run: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")
    _numbers: Iterator[int] = field(default_factory=count)

    def new_prefix(self) -> str:
        """A prefix that no other test uses."""
        return f"{self._run}-{next(self._numbers)}-"

    def delete_topics(self) -> None:
        """Delete the topics of this run."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            ours = [name for name in admin.list_topics() if name.startswith(self._run)]
            if ours:
                admin.delete_topics(ours)


@contextmanager
def from_environment() -> Iterator[KafkaBroker]:
    """The named broker: it is used or the tests fail. At the end the topics of the tests are deleted."""
    bootstrap = os.environ.get(ENVIRONMENT_VARIABLE)
    if not bootstrap:
        raise Unavailable(f"{ENVIRONMENT_VARIABLE} is not set")
    broker = KafkaBroker(bootstrap, origin=ENVIRONMENT_VARIABLE)
    yield broker
    broker.delete_topics()


@contextmanager
def from_docker() -> Iterator[KafkaBroker]:
    if not docker_answers():
        raise Unavailable("no Docker engine answers")
    # Imported here, because the import takes half a second.
    from docker.errors import DockerException
    from requests import RequestException
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    # The same port inside and outside: a broker reaches itself by the address that it advertises.
    port, controller_port = native.free_port(), native.free_port()
    container = DockerContainer(IMAGE).with_bind_ports(port, port)
    for name, value in native.properties("0.0.0.0", "127.0.0.1", port, controller_port).items():  # noqa: S104
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(round(native.START_TIMEOUT))
    try:
        container.waiting_for(started).start()
    except (DockerException, RequestException, RuntimeError, TimeoutError) as error:
        container.stop()
        raise Unavailable(f"{IMAGE} did not start ({one_line(error)})") from error
    try:
        yield KafkaBroker(f"127.0.0.1:{port}", origin=f"container {IMAGE}")
    finally:
        container.stop()


@contextmanager
def from_process() -> Iterator[KafkaBroker]:
    with tempfile.TemporaryDirectory(prefix="unvarnished-kafka-", ignore_cleanup_errors=True) as folder:
        node = native.Node(Path(folder))
        try:
            node.start()
        except native.CannotRun as reason:
            raise Unavailable(str(reason)) from reason
        try:
            yield KafkaBroker(node.bootstrap, origin="process")
        finally:
            node.kill()  # its data is not needed any more


Way = Callable[[], AbstractContextManager[KafkaBroker]]
WAYS: tuple[Way, ...] = (from_environment, from_docker, from_process)


def kafka_broker(ways: tuple[Way, ...] = WAYS) -> AbstractContextManager[KafkaBroker]:
    """The first available broker. Raises Unavailable with every reason if there is none."""
    return first_that_works("Kafka broker", ways)
