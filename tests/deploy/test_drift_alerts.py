"""The alerts for drift: what raises them and what does not, by Prometheus's `promtool`; they ask for what there is."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Service
from tests.samples import ROOT, SAMPLE_FILES, left_out_without

RULES = ROOT / "deploy" / "prometheus-alerts.yml"
UNFAMILIAR, CONFIDENCE, CLASS_MIX = (
    "KerasServiceUnfamiliarImages",
    "KerasServiceConfidenceFell",
    "KerasServiceClassMixChanged",
)
# Scraped once a minute: half a day, and then eight hours in which something is different.
BEFORE, AFTER = 12 * 60, 8 * 60

needs_promtool = left_out_without(shutil.which("promtool") is not None, "promtool (Debian's package prometheus)")


def promtool(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def counter(metric: str, before: float, after: float, **labels: str) -> dict[str, str]:
    """A counter that grows by so much a minute, in promtool's words."""
    told = ", ".join(f'{name}="{value}"' for name, value in {"job": "j", "instance": "i", **labels}.items())
    # A little more than the sum: where promtool's own is rounded up, less would be a restart of the counter.
    values = f"0+{before}x{BEFORE} {before * BEFORE + after + 1e-6}+{after}x{AFTER - 1}"
    return {"series": f"keras_service_{metric}{{{told}}}", "values": values}


def traffic(
    *,
    images: tuple[float, float] = (10, 10),
    confidence: tuple[float, float] = (0.9, 0.9),
    unfamiliar: tuple[float, float] = (0.02, 0.02),
    mix: tuple[Sequence[float], Sequence[float]] = ((0.7, 0.3), (0.7, 0.3)),
) -> list[dict[str, str]]:
    """The series of a model before and after: images a minute, mean confidence, shares of images and of each class."""
    return [
        counter("confidence_count", *images, model="m"),
        counter("confidence_sum", images[0] * confidence[0], images[1] * confidence[1], model="m"),
        counter("out_of_distribution_total", images[0] * unfamiliar[0], images[1] * unfamiliar[1], model="m"),
        *(
            counter("predictions_total", images[0] * before, images[1] * after, model="m", label=str(number))
            for number, (before, after) in enumerate(zip(*mix, strict=True))
        ),
    ]


def answers(version: str, values: str) -> dict[str, str]:
    labels = f'job="j", instance="i", name="m", version="{version}", device="cpu"'
    return {"series": f"keras_service_model_info{{{labels}}}", "values": values}


ONE_VERSION = [answers("1", f"1x{BEFORE + AFTER}")]
TWO_VERSIONS = [answers("1", f"1x{BEFORE} 0x{AFTER - 1}"), answers("2", f"_x{BEFORE + 1} 1x{AFTER - 1}")]
EVERYTHING = {"confidence": (0.9, 0.6), "unfamiliar": (0.02, 0.4), "mix": ((1, 0), (0, 1))}


def fires(folder: Path, series: list[dict[str, str]], expected: Sequence[str], *hours: float, version: str) -> None:
    """Fails unless the alerts that fire are `expected`, so many hours after the change, and none did before it."""
    samples = [
        {
            "labels": f'ALERTS{{alertname="{name}", alertstate="firing", job="j", model="m", severity="warning", '
            f'version="{version}"}}',
            "value": 1,
        }
        for name in expected
    ]
    query = 'ALERTS{alertstate="firing"}'
    checks = [{"expr": query, "eval_time": f"{BEFORE}m", "exp_samples": []}] + [
        {"expr": query, "eval_time": f"{BEFORE + round(60 * hour)}m", "exp_samples": samples} for hour in hours
    ]
    file = folder / "alerts.test.json"  # JSON is YAML
    test = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": [test]}))
    promtool("test", "rules", file)


@needs_promtool
def test_the_files_are_valid() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", ROOT / "deploy" / "prometheus.yml")


@needs_promtool
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"unfamiliar": (0.02, 0.08)}, [UNFAMILIAR]),
        ({"confidence": (0.9, 0.83)}, [CONFIDENCE]),
        ({"mix": ((0.7, 0.3), (0.3, 0.7))}, [CLASS_MIX]),
        (EVERYTHING, [UNFAMILIAR, CONFIDENCE, CLASS_MIX]),
    ],
)
def test_each_kind_of_drift_raises_its_alert(now: dict[str, tuple], expected: list[str], tmp_path: Path) -> None:
    fires(tmp_path, ONE_VERSION + traffic(**now), expected, 7.5, version="1")


@needs_promtool
@pytest.mark.parametrize(
    "now",
    [
        pytest.param({}, id="nothing changes"),
        pytest.param(
            {"confidence": (0.9, 0.87), "unfamiliar": (0.02, 0.04), "mix": ((0.7, 0.3), (0.55, 0.45))},
            id="small changes",
        ),
        pytest.param({"confidence": (0.8, 0.99), "unfamiliar": (0.04, 0)}, id="better than before"),
        pytest.param({"images": (10, 1), **EVERYTHING}, id="so few images that they may be chance"),
        pytest.param({"images": (0.05, 10), **EVERYTHING, "unfamiliar": (0, 0)}, id="too few images in the past"),
        pytest.param({"images": (10, 0)}, id="nobody asks any longer"),
    ],
)
def test_no_drift_raises_none(now: dict[str, tuple], tmp_path: Path) -> None:
    fires(tmp_path, ONE_VERSION + traffic(**now), [], 0.5, 2, 6, 7.5, version="1")


@needs_promtool
@pytest.mark.parametrize(("classes", "expected"), [(2, [CLASS_MIX]), (80, [])])
def test_with_many_classes_more_of_a_change_is_chance(classes: int, expected: list[str], tmp_path: Path) -> None:
    others = [0] * (classes - 2)
    series = traffic(images=(2, 1.5), mix=([0.7, 0.3, *others], [0.43, 0.57, *others]))
    fires(tmp_path, ONE_VERSION + series, expected, 6.75, version="1")


@needs_promtool
def test_a_new_version_is_not_compared_with_another_ones_past(tmp_path: Path) -> None:
    series = TWO_VERSIONS + traffic(confidence=(0.9, 0.6), mix=((1, 0), (0, 1)))
    fires(tmp_path, series, [], 0.5, 2, 4, 6, 7.5, version="2")


@needs_promtool
def test_a_new_version_that_finds_its_images_unfamiliar_is_told(tmp_path: Path) -> None:
    fires(tmp_path, TWO_VERSIONS + traffic(unfamiliar=(0.02, 0.2)), [UNFAMILIAR], 4, version="2")


@needs_promtool
def test_a_restart_of_the_counters_raises_none(tmp_path: Path) -> None:
    series = traffic()
    for one in series:
        grown, again = one["values"].split()
        one["values"] = f"{grown} 0+{again.partition('+')[2]}"
    fires(tmp_path, ONE_VERSION + series, [], 0.5, 4, 7.5, version="1")


def test_every_metric_and_label_of_the_rules_is_exported(service: Service) -> None:
    httpx.post(f"{service.url}/predict", content=SAMPLE_FILES[0].read_bytes()).raise_for_status()
    exported = {
        sample.name: sample.labels.keys()
        for family in text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
        for sample in family.samples
    }
    # What a rule records has its level before a colon, and its operation behind another one.
    drift = RULES.read_text().partition("- name: keras-image-service-operation")[0]
    asked = set(re.findall(r"(?<![:\w])keras_service_\w+(?!:)\b", drift))
    assert asked == {
        "keras_service_confidence_count",
        "keras_service_confidence_sum",
        "keras_service_model_info",
        "keras_service_out_of_distribution_total",
        "keras_service_predictions_total",
    }
    for metric in asked - {"keras_service_model_info"}:
        assert "model" in exported[metric]
    assert "label" in exported["keras_service_predictions_total"]
    assert {"name", "version"} <= exported["keras_service_model_info"]


def test_the_mean_confidence_is_that_of_the_answers(service: Service) -> None:
    def told() -> tuple[float, float]:
        text = httpx.get(f"{service.url}/metrics").text
        images, total = (
            float(re.search(rf"^keras_service_confidence_{part}{{.*}} (.*)$", text, re.MULTILINE)[1])
            for part in ("count", "sum")
        )
        return images, total

    before = told()
    answered = [httpx.post(f"{service.url}/predict", content=file.read_bytes()).json() for file in SAMPLE_FILES[::40]]
    after = told()
    assert after[0] - before[0] == len(answered) == 5
    assert after[1] - before[1] == pytest.approx(sum(answer["probability"] for answer in answered), abs=1e-3)
