"""Kubernetes' own schemas, checkov, and what is unsafe in workflows: nobody finds anything in what is deployed with."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.charts.tools import VALUES, needs_tools, rendered, run
from tests.samples import ROOT

pytestmark = needs_tools
CONFIGURATION = Path(__file__).with_name("checkov.yaml")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
KSERVE = sorted((ROOT / "deploy" / "kserve").iterdir())
# The chart needs 1.30 at least.
KUBERNETES = ["1.30", "1.37"]
# Of operators, whose schemas are not Kubernetes' own.
FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of it: the chart with each file of values, KServe's, and the Dockerfile."""
    folder = tmp_path_factory.mktemp("deployed")
    for name, values in VALUES.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(rendered(values).values()))
    for file in (*KSERVE, ROOT / "Dockerfile"):
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_what_the_chart_makes(deployed: Path, version: str) -> None:
    for name, values in VALUES.items():
        made = run("kubernetes-validate", "--strict", "-k", version, deployed / f"{name}.yaml")
        assert made.returncode == 0, made.stdout + made.stderr
        assert (made.stdout + made.stderr).count("passed for resource") == len(rendered(values).keys() - FOREIGN) > 1


def test_kubernetes_would_refuse_a_misspelt_field(deployed: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((deployed / "image.yaml").read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert run("kubernetes-validate", "--strict", wrong).returncode != 0


def test_checkov_finds_nothing(deployed: Path) -> None:
    found = run("checkov", "-d", deployed, "--config-file", CONFIGURATION, "-o", "json")
    assert found.returncode == 0, found.stdout + found.stderr
    passed = {part["check_type"]: part["summary"]["passed"] for part in json.loads(found.stdout)}
    assert passed.keys() == {"kubernetes", "dockerfile"}
    assert all(count > 20 for count in passed.values()), passed


def test_the_workflows_are_workflows() -> None:
    for schema, files in (("github-workflows", WORKFLOWS), ("dependabot", [ROOT / ".github" / "dependabot.yml"])):
        checked = run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
        assert checked.returncode == 0, checked.stdout


def test_the_workflows_do_nothing_unsafe() -> None:
    found = run("zizmor", "--offline", "--persona", "auditor", ROOT / ".github")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_has_no_right_but_those_that_a_job_names(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert "permissions" in job
        assert job["timeout-minutes"] <= 120
