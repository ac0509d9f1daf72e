"""What the README says is so: its commands run, its tables are the code's, its figures are the card's."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from models.card import ModelCard, read_card
from service.app import create_app
from service.settings import ServiceSettings
from tests.fakes import FakeEngine
from tests.processes import run_to_end, running_service
from tests.samples import ROOT, SHIPPED_MODEL
from training.ood_images import OOD_KINDS
from training.robustness import KINDS
from training.settings import TrainingSettings

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line and not line.startswith("#")
]
DEFAULT_ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def card() -> ModelCard:
    card = read_card(SHIPPED_MODEL)
    assert card is not None
    return card


def shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if default is False:
        return "off"
    return f"`{','.join(map(str, default)) if isinstance(default, tuple) else default}`"


@pytest.mark.parametrize(("settings", "prefix"), [(ServiceSettings, "SERVICE_"), (TrainingSettings, "TRAINING_")])
def test_every_setting_is_in_its_table(settings: type[BaseSettings], prefix: str) -> None:
    rows = [row for row in README.splitlines() if row.startswith("| `--") and prefix in row]
    assert rows == [
        f"| `--{name.replace('_', '-')}` | `{prefix}{name.upper()}` | {shown(field.default)} | {field.description} |"
        for name, field in settings.model_fields.items()
    ]


def test_every_call_is_in_the_table() -> None:
    documented = create_app(ServiceSettings(), FakeEngine()).openapi()["paths"]
    for path, methods in documented.items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in README


def test_the_figures_are_the_cards(card: ModelCard) -> None:
    assert card.evaluation is not None
    validation, test = card.evaluation.validation, card.evaluation.test
    assert f"| loss | {validation.loss:.4f} | {test.loss:.4f} |" in README
    assert f"| accuracy | {validation.accuracy:.4f} | {test.accuracy:.4f} |" in README
    for entry in card.evaluation.per_class:
        assert f"| {entry.name} | {entry.precision:.3f} | {entry.recall:.3f} | {entry.f1:.3f} |" in README


def test_the_tree_is_the_tree() -> None:
    tree = README[README.index("## The house") :]
    for package in ("models", "training", "service"):
        files = [file for kind in ("py", "js", "css", "html") for file in (ROOT / package).rglob(f"*.{kind}")]
        for file in files:
            if file.name != "__init__.py":
                assert re.search(rf"\b{re.escape(file.name)}\b", tree), file


def test_files_that_are_linked_are_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link


def test_every_make_command_is_one() -> None:
    commands = [command for command in COMMANDS if command.startswith("make")]
    assert commands
    for command in commands:
        subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_options_in_examples_are_options() -> None:
    for command in COMMANDS:
        if found := re.search(r'ARGS="?([^"]*)', command):
            programs = {"serve": "service", "train": "training", "evaluate": "training.evaluate"}
            help_text = run_to_end(programs[command.split()[1]], "--help").stdout
            for option in re.findall(r"--[a-z-]+", found[1]):
                assert option in help_text


def test_every_curl_works_and_the_answer_shown_is_the_real_one(tmp_path: Path) -> None:
    curls = [command for command in COMMANDS if command.startswith("curl")]
    assert len(curls) > 5
    answers = {}
    with running_service() as service:
        for command in curls:
            arguments = shlex.split(command.replace(DEFAULT_ADDRESS, service.url))
            output = arguments.index("-o") + 1 if "-o" in arguments else None
            if output:
                arguments[output] = str(tmp_path / arguments[output])
            finished = subprocess.run([*arguments, "--silent", "--fail"], cwd=ROOT, capture_output=True, check=True)
            answers[command] = (tmp_path / arguments[output]).read_bytes() if output else finished.stdout
            assert answers[command], command
    (text,) = re.findall(r"```json\n(.*?)\n```", README)
    real, printed = json.loads(answers[curls[0]]), json.loads(text)
    # The last digits differ between processors.
    for entry in (real, printed, *real["probabilities"], *printed["probabilities"]):
        entry["probability"] = round(entry["probability"], 4)
    for answer in (real, printed):
        answer["familiarity"] = round(answer["familiarity"], 3)
    assert printed == real


def test_the_speeds_are_those_of_the_committed_run() -> None:
    results = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    assert f"measured {results['measured']}:" in README
    for row in results["measurements"]:
        if row["door"].startswith(("own fast path", "this service, 64")):
            continue
        cell = f" {row['requests_per_s']:,.0f} · {row['p50_ms']:.1f} · {row['p99_ms']:.1f} |"
        assert any(line.startswith(f"| {row['door']} |") and cell in line for line in README.splitlines()), row
    for start in results["starts"]:
        assert f"| {start['program']} | {start['seconds']:.1f} | {start['memory_mb']:,.0f} |" in README
    assert f"{results['function_per_s']:,.0f}" in README


def test_the_robustness_figures_are_those_of_the_committed_run() -> None:
    results = json.loads((ROOT / "docs" / "robustness.json").read_text())
    assert results["kinds"].keys() == KINDS.keys()
    assert results["ood_images"].keys() >= OOD_KINDS.keys()
    for name, figures in results["ood_images"].items():
        cells = f"{figures['from_thumbnails']:.3f} | {figures['from_photographs']:.3f}"
        assert f"| {name} | {cells} |" in README
    for name, figures in results["kinds"].items():
        assert f"| {name} | {figures['accuracy']:.3f} | {figures['agreement']:.3f} |" in README
