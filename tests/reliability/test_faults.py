"""A short trial of `make faults`: a worker, a relay and a dispatcher are killed while events come in."""

from pathlib import Path

import pytest

from tests.reliability.faults import scenarios
from tests.reliability.faults.told import told
from tests.reliability.faults.trial import Ground, run
from tests.support.servers.kafka import KafkaBroker
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.reliability]

ROLES = ("web", "relay", "worker", "worker", "dispatcher")


def test_a_cluster_whose_processes_are_killed_leaves_what_one_process_in_peace_does(
    tmp_path: Path, kafka_broker: KafkaBroker, postgres_server: PostgresServer
) -> None:
    ground = Ground(kafka_broker.bootstrap, postgres_server, tmp_path)
    result = run(ground, "kills", told(400), scenarios.kill_one_of_each, ROLES)
    assert result.wrong == []
    assert set(result.progress) == {"worker killed", "relay killed", "dispatcher killed"}
