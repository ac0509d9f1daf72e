"""Metrics of several workers, which share files: what nobody uses is not shown, whatever the files still hold."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from prometheus_client.parser import text_string_to_metric_families

from models.printable import printable
from tests.attacks.callers import class_names_that_forge_lines
from tests.samples import ROOT


def exposition_of(folder: Path, program: str) -> str:
    """What a worker tells whose metrics are in `folder`, after `program`."""
    code = "from service.metrics import *\n" + dedent(program) + "\nprint(exposition().decode(), end='')"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder)},
    ).stdout  # fmt: skip


def test_models_that_are_gone_are_not_shown(tmp_path: Path) -> None:
    told = exposition_of(
        tmp_path,
        """
        for number in range(1000):
            labels = [f"class {number}.{label}" for label in range(3)]
            predicted, unfamiliar, confidence = MODELS.use("model", labels)
            confidence.observe(0.5)
            MODELS.announce("model", f"version {number}", "cpu", answers=True)
            for counter in (*predicted, unfamiliar):
                counter.inc()
            if number < 999:
                MODELS.leave("model", labels)
                MODELS.withdraw("model", f"version {number}", "cpu")
        """,
    )
    assert told.count("keras_service_predictions_total{") == 3
    assert told.count("keras_service_model_info{") == 1
    assert 'keras_service_out_of_distribution_total{model="model"} 1000.0' in told
    assert 'keras_service_confidence_sum{model="model"} 500.0' in told


def test_what_another_worker_counted_is_added(tmp_path: Path) -> None:
    program = """
        MODELS.use("model", ["cat"])[0][0].inc()
    """
    exposition_of(tmp_path, program)
    assert 'keras_service_predictions_total{label="cat",model="model"} 2.0' in exposition_of(tmp_path, program)


def test_names_with_quotes_and_line_ends_are_labels_and_no_more(tmp_path: Path) -> None:
    names = [*class_names_that_forge_lines(), '"} 1\nkeras_service_forged{a="\\', "\\n"]
    told = exposition_of(
        tmp_path,
        f"""
        names = {names!r}
        for counter in MODELS.use("a model", names)[0]:
            counter.inc()
        """,
    )
    families = {family.name: family for family in text_string_to_metric_families(told)}
    assert {sample.labels["label"] for sample in families["keras_service_predictions"].samples} == {
        *map(printable, names)
    }
    assert "keras_service_forged" not in families
