"""The image and the compose files: accepted by Compose, closed to the outside, and without secrets."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from deploy.kafka.native import kafka_version
from pipeline.settings import Settings
from tests.support.paths import ROOT
from tests.support.servers import tools
from tests.support.servers.compose import CHOSEN, FILES, OURS, ROLES, config, services

ROOT = ROOT
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_the_cluster_is_complete() -> None:
    around = {"kafka", "postgres", "prometheus", "alertmanager", "grafana"}
    assert set(services()) == around | set(OURS)


@pytest.mark.parametrize("file", FILES)
def test_required_values_are_required(file: str) -> None:
    wanted = set(re.findall(r"\$\{(\w+)", (ROOT / file).read_text(encoding="utf-8")))
    assert {"UNVARNISHED_DB_PASSWORD", "UNVARNISHED_MASTER_KEY", "UNVARNISHED_SIGN_IN_TOKEN"} <= wanted <= set(CHOSEN)
    for name in wanted:
        for chosen in (CHOSEN | {name: ""}, {other: value for other, value in CHOSEN.items() if other != name}):
            with pytest.raises(AssertionError, match=f"{name} is missing a value: (choose|make) "):
                config(file, chosen)


def test_the_example_names_the_required_values_and_contains_none() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [f"{name}=" for name in CHOSEN]
    known = {f"UNVARNISHED_{name.upper()}" for name in Settings.model_fields}
    assert {line[1:].partition("=")[0] for line in lines if re.match(r"#\w+=", line)} <= known


@pytest.mark.parametrize("file", FILES)
def test_every_secret_comes_from_the_environment(file: str) -> None:
    for name, one in services(file).items():
        for variable, value in one.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|KEY|SECRET", variable):
                assert value in CHOSEN.values(), f"{name}: {variable}"


@pytest.mark.parametrize("file", FILES)
def test_only_the_public_listener_is_open_to_others(file: str) -> None:
    ports = [port for one in services(file).values() for port in one.get("ports", ())]
    assert [port["target"] for port in ports if port.get("host_ip") != "127.0.0.1"] == [8080]


@pytest.mark.parametrize("file", FILES)
def test_every_container_has_limits_and_no_privileges(file: str) -> None:
    for name, one in services(file).items():
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        limits = one["deploy"]["resources"]["limits"]
        assert limits["cpus"] > 0, name
        assert int(limits["memory"]) > 0, name


@pytest.mark.parametrize("file", FILES)
def test_a_tmpfs_over_a_folder_of_an_image_belongs_to_the_user_of_the_image(file: str) -> None:
    """By default a tmpfs belongs to root, with the mode of the folder. /tmp is writable for all in every image."""
    # The users of third-party images; that of PostgreSQL is configured.
    users = {"kafka": "uid=1000,gid=1000", "postgres": "uid=70,gid=70", "grafana": "uid=472,gid=0"}
    for name, one in services(file).items():
        mounts = dict(mount.partition(":")[::2] for mount in one.get("tmpfs", ()))
        assert not mounts.pop("/tmp", ""), name  # noqa: S108
        assert not mounts or set(mounts.values()) == {users[name]}, name
        assert one.get("user", "70:70") == "70:70", name


@pytest.mark.parametrize("file", FILES)
def test_every_service_has_a_health_check_a_restart_policy_and_time_to_stop(file: str) -> None:
    for name, one in services(file).items():
        ends = one.get("command") in (["migrate"], ["topics", "create"])
        assert one["restart"] == ("no" if ends else "unless-stopped"), name
        checked_by_the_image = one["image"] == "unvarnished:local" and "healthcheck" not in one
        assert ends or checked_by_the_image or one["healthcheck"]["test"][0] == "CMD", name
        seconds = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", one["stop_grace_period"])
        assert seconds, name
        given = 60 * int(seconds[1] or 0) + int(seconds[2] or 0)
        assert given > Settings.model_fields["shutdown_timeout_seconds"].default, f"{name} has time to finish its work"


def test_every_image_has_a_version_and_kafkas_is_the_tested_one() -> None:
    images = {name: one["image"] for name, one in services().items()}
    assert images["kafka"] == f"apache/kafka:{kafka_version()}"
    assert all(re.search(r":v?\d|^unvarnished:local$", image) for image in images.values()), images
    assert all(re.search(r":\d", image) for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))


@pytest.mark.parametrize("file", FILES)
def test_every_mounted_file_exists(file: str) -> None:
    for one in services(file).values():
        for mount in one.get("volumes", ()):
            if mount["type"] == "bind":
                assert Path(mount["source"]).exists(), mount["source"]
                assert mount["read_only"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_checked_and_scraped_on_its_health_port(role: str) -> None:
    port = Settings.model_fields["internal_port" if role == "web" else f"{role}_port"].default
    default = re.search(r"HEALTH_PORT=(\d+)", DOCKERFILE)
    assert default
    assert services()[role]["environment"].get("HEALTH_PORT", default[1]) == str(port)
    scraped = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    assert f"{{names: [{role}], type: A, port: {port}," in scraped


def test_the_dockerfile_passes_its_linter() -> None:
    tools.run("hadolint", "--failure-threshold", "info", "deploy/Dockerfile")


def test_every_file_the_image_is_built_from_exists_and_is_not_ignored() -> None:
    copied = [
        path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for path in line.split()
    ]
    assert "pipeline" in copied
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for path in copied:
        assert (ROOT / path).exists(), path
        matching = [rule for rule in rules if rule and fnmatch(path, rule.removeprefix("!"))]
        assert matching[-1].startswith("!"), f"{path} is kept out by .dockerignore"


def test_the_image_runs_unprivileged_from_locked_dependencies() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"
    installs = re.findall(r"pip (?:--python \S+ )?install (?:\\\n\s+)?(.+)", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
