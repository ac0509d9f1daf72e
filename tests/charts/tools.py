"""The programs of `make charts`, and what Helm makes of the chart."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.samples import ROOT, left_out_without

TOOLS = ROOT / ".venv-charts" / "bin"
CHART = ROOT / "deploy" / "helm" / "keras-image-service"
VALUES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").iterdir())}
needs_tools = left_out_without((TOOLS / "helm").exists(), "the programs of `make charts`")

Resource = dict[str, Any]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What the program says; none of them is let ask anybody outside."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    return subprocess.run(
        [str(TOOLS / program), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )


def template(values: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    options = [part for name, value in changes.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    return run("helm", "template", "shop", CHART, "--namespace", "images", "--values", values, *options)


def rendered(values: Path, **changes: Any) -> dict[str, Resource]:
    """Each resource that the chart makes of a file of values, by its kind. `changes` come before the file."""
    made = template(values, **changes)
    assert made.returncode == 0, made.stderr
    resources = [resource for resource in yaml.safe_load_all(made.stdout) if resource]
    assert len({resource["kind"] for resource in resources}) == len(resources)
    return {resource["kind"]: resource for resource in resources}


def refusal(values: Path, **changes: Any) -> str:
    """Why Helm does not take the values."""
    made = template(values, **changes)
    assert made.returncode != 0, made.stdout
    return made.stderr


def pod_of(resources: dict[str, Resource]) -> Resource:
    pod: Resource = resources["Deployment"]["spec"]["template"]["spec"]
    return pod


def container_of(pod: Resource) -> Resource:
    (container,) = pod["containers"]
    assert isinstance(container, dict)
    return container


def environment_of(container: Resource) -> dict[str, str | None]:
    """The variables; None of one that comes from elsewhere."""
    names = [variable["name"] for variable in container["env"]]
    assert len(set(names)) == len(names)
    return {variable["name"]: variable.get("value") for variable in container["env"]}
