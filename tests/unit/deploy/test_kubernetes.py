"""The Kubernetes manifests: rendered by kubectl, valid, and consistent with each other and with what we run."""

from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.settings import Settings
from tests.support.paths import ROOT
from tests.support.servers import tools
from tests.support.servers.compose import ROLES, services

FOLDER = ROOT / "deploy" / "kubernetes"
# The oldest version whose schema has all fields we use, and the newest one.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
COMPONENT = "app.kubernetes.io/component"


@cache
def rendered() -> dict[tuple[str, str], Any]:
    """Every resource by kind and name, as `kubectl apply -k` would send it."""
    found = list(yaml.safe_load_all(tools.run("kubectl", "kustomize", str(FOLDER))))
    named = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(named) == len(found)
    return named


def of_kind(*kinds: str) -> dict[str, Any]:
    return {name: one for (kind, name), one in rendered().items() if kind in kinds}


def pods() -> dict[str, Any]:
    """The command of each workload, by component."""
    workloads = of_kind("Deployment", "StatefulSet", "Job").values()
    return {one["spec"]["template"]["metadata"]["labels"][COMPONENT]: one["spec"]["template"] for one in workloads}


def containers(pod: dict[str, Any]) -> list[Any]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_resource_is_valid(version: str) -> None:
    for one in rendered().values():
        kubernetes_validate.validate(one, version, strict=True)


def test_a_mistake_is_found() -> None:
    broken = {**of_kind("Job")["unvarnished-migrate"], "specification": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="specification"):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_every_manifest_is_used() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    used = {*listed["resources"], *(patch["path"] for patch in listed["patches"]), "kustomization.yaml"}
    assert used == {path.name for path in FOLDER.glob("*.yaml")}


def test_kubernetes_runs_the_same_commands_as_compose() -> None:
    commands = {component: [one["args"] for one in containers(pod)] for component, pod in pods().items()}
    composed = {role: [services()[role]["command"]] for role in ROLES}
    assert commands == composed | {"migrate": [services()[name]["command"] for name in ("migrate", "topics")]}


def test_every_container_is_unprivileged_and_has_limits() -> None:
    for component, pod in pods().items():
        assert pod["spec"]["automountServiceAccountToken"] is False, component
        assert pod["spec"]["securityContext"]["runAsNonRoot"], component
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        for one in containers(pod):
            rights = one["securityContext"]
            assert rights["readOnlyRootFilesystem"], component
            assert rights["allowPrivilegeEscalation"] is False, component
            assert rights["capabilities"] == {"drop": ["ALL"]}, component
            assert one["resources"]["requests"].keys() == {"cpu", "memory"}, component
            assert "memory" in one["resources"]["limits"], component
            assert {mount["mountPath"] for mount in one["volumeMounts"]} == {"/tmp", "/data"}, component  # noqa: S108


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_probed_on_its_internal_port(role: str) -> None:
    [one] = containers(pods()[role])
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert ports["internal"] == Settings.model_fields["internal_port" if role == "web" else f"{role}_port"].default
    looks = {kind: one[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {look["port"] for look in looks.values()} == {"internal"}
    assert {kind: look["path"] for kind, look in looks.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }


def test_only_the_public_port_of_web_is_open_to_all() -> None:
    open_to_all = [
        (policy["spec"]["podSelector"]["matchLabels"], rule["ports"])
        for policy in of_kind("NetworkPolicy").values()
        for rule in policy["spec"].get("ingress", ())
        if "from" not in rule
    ]
    assert open_to_all == [({COMPONENT: "web"}, [{"port": "public"}])]
    assert all(one["spec"].get("type", "ClusterIP") == "ClusterIP" for one in of_kind("Service").values())


def test_every_selector_matches_a_pod() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    selected = [one["spec"]["selector"] for one in of_kind("Service").values()]
    selected += [one["spec"]["selector"]["matchLabels"] for one in of_kind("PodDisruptionBudget").values()]
    selected += [one["spec"]["podSelector"].get("matchLabels", {}) for one in of_kind("NetworkPolicy").values()]
    for wanted in selected:
        assert any(wanted.items() <= one.items() for one in labels), wanted
    covered = {one["spec"]["selector"]["matchLabels"][COMPONENT] for one in of_kind("PodDisruptionBudget").values()}
    assert covered == set(ROLES)


def test_workers_are_scaled_by_lag_up_to_the_number_of_partitions() -> None:
    spec = of_kind("HorizontalPodAutoscaler")["unvarnished-worker"]["spec"]
    assert ("Deployment", spec["scaleTargetRef"]["name"]) in rendered()
    assert "replicas" not in rendered()["Deployment", "unvarnished-worker"]["spec"]
    assert spec["maxReplicas"] == Settings.model_fields["kafka_partitions"].default
    assert [one["external"]["metric"]["name"] for one in spec["metrics"]] == ["unvarnished_lag_records"]


def test_every_variable_is_a_setting_and_secrets_are_only_referenced() -> None:
    [config] = of_kind("ConfigMap").values()
    assert set(config["data"]) <= {f"UNVARNISHED_{name.upper()}" for name in Settings.model_fields}
    assert not [name for name in config["data"] if any(word in name for word in ("KEY", "TOKEN", "PASSWORD", "SECRET"))]
    assert not of_kind("Secret")
    for pod in pods().values():
        for one in containers(pod):
            assert one["envFrom"] == [
                {"configMapRef": {"name": config["metadata"]["name"]}},
                {"secretRef": {"name": "unvarnished"}},
            ]
