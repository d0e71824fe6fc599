"""A short trial of `make bench WHAT=faults`: a worker, a relay and a dispatcher are killed under load."""

from pathlib import Path

import pytest

from tests.reliability.faults import scenarios
from tests.reliability.faults.trial import Servers, run
from tests.reliability.faults.workload import workload
from tests.support.servers.kafka import KafkaBroker
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.reliability]

ROLES = ("web", "relay", "worker", "worker", "dispatcher")


def test_a_cluster_whose_processes_are_killed_ends_in_the_state_of_the_reference_run(
    tmp_path: Path, kafka_broker: KafkaBroker, postgres_server: PostgresServer
) -> None:
    servers = Servers(kafka_broker.bootstrap, postgres_server, tmp_path)
    result = run(servers, "kills", workload(400), scenarios.kill_one_of_each, ROLES)
    assert result.wrong == []
    assert set(result.progress) == {"worker killed", "relay killed", "dispatcher killed"}
