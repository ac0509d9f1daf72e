"""The alerts for operation: what raises each of them and what does not, by Prometheus's `promtool`."""

import json
import re
import shutil
from pathlib import Path

import httpx
import pytest

from service import metrics
from tests.deploy.test_drift_alerts import RULES, promtool
from tests.processes import FAKE_ENGINE, STARTED, read_until, running_service, wait_for_all, workers_of
from tests.samples import ROOT, left_out_without

needs_promtool = left_out_without(shutil.which("promtool") is not None, "promtool (Debian's package prometheus)")

MINUTES = 40
LABELS = 'job="keras-image-service", instance="i"'


def series(metric: str, values: str, labels: str = "") -> dict[str, str]:
    """Of one sample a minute."""
    return {"series": f"{metric}{{{', '.join(filter(None, (LABELS, labels)))}}}", "values": values}


def counts(metric: str, each_minute: float, labels: str = "") -> dict[str, str]:
    return series(f"keras_service_{metric}", f"0+{each_minute}x{MINUTES}", labels)


def seconds(quick: float, all_of_them: float) -> list[dict[str, str]]:
    """Requests a minute to /predict, of which so many are answered within 0.1 s, and the others in 2 to 5 s."""
    name, route = "request_duration_seconds", 'route="/predict"'
    within = {"0.1": quick, "2": quick, "5": all_of_them, "+Inf": all_of_them}
    buckets = [counts(f"{name}_bucket", count, f'{route}, le="{limit}"') for limit, count in within.items()]
    return [*buckets, counts(f"{name}_count", all_of_them, route)]


def requests(ok: float, failed: float, status: int = 500) -> list[dict[str, str]]:
    return [counts("requests_total", ok, 'status="200"'), counts("requests_total", failed, f'status="{status}"')]


REFUSED = "keras_service_model_reloads_total", 'outcome="refused"'
RESTARTS = "keras_service_worker_restarts_total"


@needs_promtool
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([series("up", f"1x{MINUTES}")], []),
        ([series("up", f"0x{MINUTES}")], ["KerasServiceDown"]),
        (requests(1000, 5), []),
        (requests(1000, 50), ["KerasServiceErrors"]),
        (requests(1000, 50, status=503), []),
        (requests(1000, 50, status=404), []),
        ([*requests(1000, 0), counts("rejected_total", 5, 'reason="overloaded"')], []),
        ([*requests(1000, 0), counts("rejected_total", 50, 'reason="overloaded"')], ["KerasServiceOverloaded"]),
        ([series("keras_service_queue_depth", f"100x{MINUTES}")], []),
        ([series("keras_service_queue_depth", f"250x{MINUTES}")], ["KerasServiceQueueNearlyFull"]),
        (seconds(999, 1000), []),
        (seconds(900, 1000), ["KerasServiceSlow"]),
        (seconds(5, 10), []),  # too few to tell
        ([series(REFUSED[0], f"1x{MINUTES}", REFUSED[1])], []),  # long ago
        ([series(REFUSED[0], f"1x30 2x{MINUTES - 31}", REFUSED[1])], ["KerasServiceReloadRefused"]),
        ([series(REFUSED[0], f"_x31 1x{MINUTES - 31}", REFUSED[1])], ["KerasServiceReloadRefused"]),  # the first
        ([series(RESTARTS, f"0x30 1x{MINUTES - 31}")], []),
        ([series(RESTARTS, f"0x30 5x{MINUTES - 31}")], ["KerasServiceWorkerRestarts"]),
        ([series("process_start_time_seconds", f"1x30 2 3 4 5x{MINUTES - 34}")], ["KerasServiceWorkerRestarts"]),
    ],
)
def test_each_alert_fires_for_its_reason_alone(
    tmp_path: Path, given: list[dict[str, str]], expected: list[str]
) -> None:
    file = tmp_path / "alerts.test.json"  # JSON is YAML
    count = 'count by (alertname) (ALERTS{alertstate="firing"})'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected]
    check = {"expr": count, "eval_time": f"{MINUTES - 1}m", "exp_samples": samples}
    test = {"interval": "1m", "input_series": given, "promql_expr_test": [check]}
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", file)


def test_the_service_exports_what_the_rules_and_the_dashboard_ask_for_and_counts_replaced_workers() -> None:
    with running_service("--workers", 2, *FAKE_ENGINE) as service:
        wait_for_all(service, 2)
        before = httpx.get(f"{service.url}/metrics").text
        assert "keras_service_worker_restarts_total 0.0" in before
        workers_of(service)[0].kill()
        read_until(service, STARTED)
        text = httpx.get(f"{service.url}/metrics").text
    assert "keras_service_worker_restarts_total 1.0" in text
    operation = RULES.read_text().partition("- name: keras-image-service-operation")[2]
    dashboard = (ROOT / "deploy" / "grafana" / "service.json").read_text()
    asked = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in re.findall(r"keras_service_\w+", operation)}
    assert asked <= {metric.name for metric in metrics.REGISTRY.collect()}
    (unfamiliar,) = re.findall(r'"expr": "(.*out_of_distribution.*)"', dashboard)
    assert "/ sum(rate(keras_service_confidence_count[" in unfamiliar
