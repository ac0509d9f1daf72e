"""The Helm chart: what it makes of values, and which values it refuses."""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from service.settings import ENVIRONMENT_PREFIX, ServiceSettings
from tests.charts.tools import CHART, VALUES, container_of, environment_of, needs_tools, pod_of, refusal, rendered, run
from tests.samples import ROOT

pytestmark = needs_tools
IMAGE, CLAIM, AUTOSCALED, QUEUE = (VALUES[name] for name in ("image", "claim", "autoscaled", "queue"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SCALERS = {"HorizontalPodAutoscaler", "ScaledObject"}

everywhere = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)


@everywhere
def test_helm_has_nothing_against_it(values: Any) -> None:
    linted = run("helm", "lint", CHART, "--strict", "--values", values)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_its_version_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()
    assert f"keras-image-service:{VERSION}\n" in (ROOT / "deploy" / "kserve" / "runtime.yaml").read_text()
    assert container_of(pod_of(rendered(IMAGE)))["image"] == f"registry.example/owner/keras-image-service:{VERSION}"


def test_a_digest_counts_before_a_tag() -> None:
    assert re.search("keras-image-service@sha256:[0-9a-f]{64}$", container_of(pod_of(rendered(CLAIM)))["image"])


@everywhere
def test_no_pod_has_a_privilege(values: Any) -> None:
    pod = pod_of(rendered(values))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
    context = container_of(pod)["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is context["privileged"] is False
    assert "limits" in container_of(pod)["resources"]
    writable = {mount["name"] for mount in container_of(pod)["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"temporary"}
    assert next(volume for volume in pod["volumes"] if volume["name"] == "temporary").keys() == {"name", "emptyDir"}


@everywhere
def test_a_pod_starts_answers_and_lives_by_the_calls_for_that(values: Any) -> None:
    container = container_of(pod_of(rendered(values)))
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    paths = {kind: probe["httpGet"]["path"] for kind, probe in probes.items()}
    assert paths == {"startup": "/health/ready", "readiness": "/health/ready", "liveness": "/health/live"}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"http"}
    assert container["ports"] == [{"name": "http", "containerPort": int(environment_of(container)["SERVICE_PORT"])}]
    # Whoever looks often is told soon that it is ready.
    assert probes["startup"]["periodSeconds"] == 1
    given_up_after = probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"]
    assert given_up_after > ServiceSettings.model_fields["watchdog_timeout_s"].default


@pytest.mark.parametrize(("endpoints", "drain"), [(5, 30), (0, 300), (20, 1)])
def test_a_pod_has_time_to_answer_what_it_has(endpoints: int, drain: int) -> None:
    pod = pod_of(rendered(IMAGE, endpointsTimeoutSeconds=endpoints, drainTimeoutSeconds=drain))
    container = container_of(pod)
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"] if endpoints else 0
    assert waits == endpoints
    assert ("lifecycle" in container) == bool(endpoints)
    assert environment_of(container)["SERVICE_DRAIN_TIMEOUT_S"] == str(drain)
    assert waits + drain < pod["terminationGracePeriodSeconds"] <= waits + drain + 10


def test_no_pod_ends_before_another_one_is_ready() -> None:
    assert rendered(IMAGE)["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize(
    ("values", "scalers"),
    [(IMAGE, set()), (CLAIM, set()), (AUTOSCALED, {"HorizontalPodAutoscaler"}), (QUEUE, {"ScaledObject"})],
)
def test_one_at_most_says_how_many_pods_there_are(values: Any, scalers: set[str]) -> None:
    resources = rendered(values)
    assert resources.keys() & SCALERS == scalers
    assert ("replicas" in resources["Deployment"]["spec"]) == (not scalers)
    for kind in scalers:
        target = resources[kind]["spec"]["scaleTargetRef"]
        assert target["name"] == resources["Deployment"]["metadata"]["name"]


def test_keda_asks_for_the_images_that_wait() -> None:
    resources = rendered(QUEUE)
    prometheus, cpu = resources["ScaledObject"]["spec"]["triggers"]
    service = resources["Service"]["metadata"]["name"]
    asked = f'sum(keras_service_queue_depth{{namespace="images", service="{service}"}})'
    assert prometheus["metadata"]["query"] == asked
    assert (prometheus["type"], cpu["type"]) == ("prometheus", "cpu")


@pytest.mark.parametrize(("values", "several"), [(IMAGE, False), (CLAIM, True), (AUTOSCALED, True), (QUEUE, True)])
def test_only_one_of_several_pods_has_a_budget_and_answers_501(values: Any, several: bool) -> None:
    resources = rendered(values)
    assert ("PodDisruptionBudget" in resources) == several
    told = environment_of(container_of(pod_of(resources)))["SERVICE_REPLICATED"]
    assert told == str(several).lower()
    if several:
        budget = resources["PodDisruptionBudget"]["spec"]
        labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= labels.items()


@everywhere
def test_the_service_finds_the_pods_and_prometheus_the_service(values: Any) -> None:
    resources = rendered(values)
    labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert resources["Service"]["spec"]["selector"].items() <= labels.items()
    assert resources["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    if monitor := resources.get("ServiceMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= resources["Service"]["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] == resources["Service"]["spec"]["ports"][0]["name"]


def test_keys_come_from_a_secret() -> None:
    resources = rendered(CLAIM)
    (keys,) = (one for one in container_of(pod_of(resources))["env"] if one["name"] == "SERVICE_API_KEYS")
    assert keys == {"name": "SERVICE_API_KEYS", "valueFrom": {"secretKeyRef": {"name": "callers", "key": "api-keys"}}}
    assert resources["ServiceMonitor"]["spec"]["endpoints"][0]["authorization"]["credentials"] == {
        "name": "prometheus-key",
        "key": "api-key",
    }
    assert "Secret" not in resources
    assert "propertyName 'API_KEYS'" in refusal(IMAGE, settings={"API_KEYS": "0" * 64})


@everywhere
def test_the_service_takes_what_the_chart_says(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment_of(container_of(pod_of(rendered(values))))
    for name, value in told.items():
        if value is not None and name.startswith(ENVIRONMENT_PREFIX):
            monkeypatch.setenv(name, value)
    settings = ServiceSettings(_cli_parse_args=[])
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in ServiceSettings.model_fields}
    assert {name for name in told if name.startswith(ENVIRONMENT_PREFIX)} <= known
    assert settings.log_format == "json"
    if values == CLAIM:  # numbers, switches and words that begin with a dash come through
        assert (settings.max_body_bytes, settings.batch_wait_ms, settings.watch) == (10485760, 0.5, True)
        assert settings.pixels == "-1..1"


@pytest.mark.parametrize(
    ("values", "changes", "path", "cache"),
    [
        (IMAGE, {}, None, None),
        (IMAGE, {"model.path": "/other/hats.h5"}, "/other/hats.h5", None),
        (CLAIM, {}, "/models/hats", "/tmp/converted"),
        (CLAIM, {"model.path": ""}, "/models", "/tmp/converted"),
        (CLAIM, {"settings": {"CACHE_DIR": "/models/converted"}}, "/models/hats", "/models/converted"),
        (AUTOSCALED, {}, "https://models.example.org/hats.keras", "/tmp/converted"),
    ],
)
def test_the_model_comes_from_the_image_a_claim_or_an_address(
    values: Any, changes: dict[str, Any], path: str | None, cache: str | None
) -> None:
    pod = pod_of(rendered(values, **changes))
    told = environment_of(container_of(pod))
    assert (told.get("SERVICE_MODEL_PATH"), told.get("SERVICE_CACHE_DIR")) == (path, cache)
    claims = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert claims == ([{"claimName": "models", "readOnly": True}] if values == CLAIM else [])


def test_the_alerts_are_those_of_the_one_file() -> None:
    """Helm reads files of the chart's own folder alone, and a link in it is lost where git makes none."""
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus-alerts.yml").read_text())
    assert rendered(CLAIM)["PrometheusRule"]["spec"] == alerts


def test_a_network_policy_lets_out_what_the_pod_needs() -> None:
    ports = [rule["ports"][0]["port"] for rule in rendered(AUTOSCALED)["NetworkPolicy"]["spec"]["egress"]]
    assert ports == [53, 443]
    policy = rendered(CLAIM)["NetworkPolicy"]["spec"]
    assert [rule["ports"][0]["port"] for rule in policy["egress"]] == [53]
    assert len(policy["ingress"][0]["from"]) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image.repository": ""}, "image.repository: say where your image is"),
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"settings": {"WACH": True}}, "propertyName 'WACH'"),
        ({"settings": {"WATCH": [True]}}, "/settings/WATCH"),
        ({"autoscaling": {"mode": "both"}}, "/autoscaling/mode"),
        ({"image.digest": "sha256:1234"}, "/image/digest"),
        ({"model": {"url": "https://example.org/a.h5", "existingClaim": "models"}}, "give one of them"),
        ({"model": {"url": "https://example.org/a.h5", "path": "a.h5"}}, "model.path"),
        ({"autoscaling": {"mode": "cpu", "maxReplicas": 1}}, "minReplicas 2 is more than autoscaling.maxReplicas 1"),
        ({"serviceMonitor.enabled": True, "apiKeys.existingSecret": "callers"}, "serviceMonitor.keySecret.name"),
        ({"ingress.enabled": True}, "ingress.host"),
    ],
)
def test_values_that_make_no_sense_are_refused(changes: dict[str, Any], why: str) -> None:
    assert why in refusal(IMAGE, **changes)


def test_every_value_is_in_the_schema_and_no_other() -> None:
    def check(values: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        if schema.get("additionalProperties") is not False:
            return
        assert values.keys() == schema["properties"].keys() - {"global"}, where
        for name, value in values.items():
            if isinstance(value, dict):
                check(value, schema["properties"][name], f"{where}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    check(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")
