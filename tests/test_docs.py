"""What the documentation says is so: commands run, links lead somewhere, tables and figures are those of the code."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic_settings import BaseSettings

from docs.generate_settings import CHART_SCHEMA, chart_schema, settings_page
from models.card import Evaluation, read_card
from service.check.settings import CheckSettings
from service.predict.settings import PredictSettings
from service.settings import ServiceSettings
from tests.applications import application
from tests.fakes import FakeEngine
from tests.processes import Service
from tests.samples import ROOT, SHIPPED_MODEL
from tests.service.protocols.grpc.serving import running_grpc
from training.evaluate import EvaluationSettings
from training.ood_images import OOD_KINDS
from training.robustness import KINDS
from training.settings import TrainingSettings

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES["README.md"]
MOST_LINES_OF_README = 170
LONGEST_LINE = 120
DEFAULT_ADDRESS = "127.0.0.1:8000"
PROGRAMS: dict[str, type[BaseSettings]] = {
    "serve": ServiceSettings,
    "cnn-check": CheckSettings,
    "predict": PredictSettings,
    "train": TrainingSettings,
    "evaluate": EvaluationSettings,
}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """All but the code blocks."""
    return re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)


def commands(program: str) -> list[tuple[str, str]]:
    """Each command of that program in a block of any page, and the page's name; without the comment behind it."""
    return [
        (name, re.split(r"\s+# ", line)[0])
        for name, page in PAGES.items()
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith(f"{program} ")
    ]


def options_of(settings: type[BaseSettings]) -> set[str]:
    return {f"--{name.replace('_', '-')}" for name in settings.model_fields}


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: str, heading: str) -> str:
    """What stands below the heading, up to the next one; the whole page where it has no such heading."""
    found = re.search(rf"^### `{re.escape(heading)}`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    return found[1] if found else page


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The whole OpenAPI document."""
    with TestClient(application(ServiceSettings(), FakeEngine())) as client:
        document: dict[str, Any] = client.get("/openapi.json").json()
    return document


@pytest.fixture(scope="module")
def openapi(document: dict[str, Any]) -> dict[str, Any]:
    """The calls of the service's own API: docs/clients.md tells of the others."""
    return {path: calls for path, calls in document["paths"].items() if not path.startswith(("/v1/", "/v2"))}


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    card = read_card(SHIPPED_MODEL)
    assert card is not None
    assert card.evaluation is not None
    return card.evaluation


# The pages themselves


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES_OF_README


@pytest.mark.parametrize("name", PAGES)
def test_prose_wraps(name: str) -> None:
    for line in prose(PAGES[name]).splitlines():
        assert len(line) <= LONGEST_LINE or line.lstrip().startswith("|"), line


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[name])):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_every_page_is_linked_in_the_readme() -> None:
    for name in PAGES:
        assert name == "README.md" or f"({name})" in README, name


# Commands


@pytest.mark.parametrize(("page", "command"), commands("make"))
def test_every_make_command_is_one(page: str, command: str) -> None:
    finished = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=False, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()


def test_every_make_target_that_is_named_in_prose_is_one() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name, page in PAGES.items():
        for target in re.findall(r"`make ([a-z-]+)", prose(page)):
            assert target in targets, name


@pytest.mark.parametrize(("page", "command"), [(page, command) for page, command in commands("make") if "=" in command])
def test_options_in_commands_are_options(page: str, command: str) -> None:
    _, target, *_ = command.split()
    if settings := PROGRAMS.get(target):
        assert set(re.findall(r"--[a-z\d-]+", command)) <= options_of(settings)


@pytest.mark.parametrize(("page", "command"), commands("cnn-check"))
def test_options_of_checks_are_options(page: str, command: str) -> None:
    assert set(re.findall(r"--[a-z\d-]+", command)) <= options_of(CheckSettings)


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"CHANGELOG.md"}))  # which names what was renamed
def test_options_in_prose_are_options(name: str) -> None:
    named = set(re.findall(r"`(--[a-z\d-]+)", prose(PAGES[name])))
    assert named <= set().union(*map(options_of, PROGRAMS.values()))


@pytest.mark.parametrize(("page", "command"), commands("curl"))
def test_every_curl_works(service: Service, tmp_path: Path, page: str, command: str) -> None:
    assert asked(service, command, tmp_path)


def test_the_answer_in_the_readme_is_the_real_one(service: Service, tmp_path: Path) -> None:
    first = next(command for page, command in commands("curl") if page == "README.md")
    (text,) = blocks(README, "json")
    real, printed = json.loads(asked(service, first, tmp_path)), json.loads(text)
    # The last digits differ between processors.
    for entry in (real, printed, *real["probabilities"], *printed["probabilities"]):
        entry["probability"] = round(entry["probability"], 4)
    for answer in (real, printed):
        answer["familiarity"] = round(answer["familiarity"], 3)
    assert printed == real


def asked(service: Service, command: str, folder: Path) -> bytes:
    """The answer to a curl, whose file goes into `folder` where it writes one."""
    arguments = shlex.split(command.replace(f"http://{DEFAULT_ADDRESS}", service.url))
    output = arguments.index("-o") + 1 if "-o" in arguments else None
    if output:
        arguments[output] = str(folder / arguments[output])
    finished = subprocess.run([*arguments, "--silent", "--fail"], cwd=ROOT, capture_output=True, check=True)
    return Path(arguments[output]).read_bytes() if output else finished.stdout


def test_the_example_for_tritons_client_prints_the_class(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = (block for block in blocks(PAGES["docs/clients.md"], "python") if "tritonclient" in block)
    exec(example.replace(DEFAULT_ADDRESS, service.url.removeprefix("http://")))
    assert re.search(r"\[\[b?'0\.99\d+:8:Bag'\]\]", capsys.readouterr().out)


def test_so_does_the_example_over_grpc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = blocks(PAGES["docs/grpc.md"], "python")
    with running_grpc() as (_, address):
        exec(example.replace("127.0.0.1:8001", address))
    assert re.search(r"\[\[b?'0\.99\d+:8:Bag'\]\]", capsys.readouterr().out)


def test_the_example_for_embeddings_finds_images_of_the_same_class(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = (block for block in blocks(PAGES["docs/api.md"], "python") if "/embed" in block)
    exec(example.replace(DEFAULT_ADDRESS, service.url.removeprefix("http://")))
    found = re.findall(r"^(\d)\S+\.png (0\.\d+)$", capsys.readouterr().out, re.MULTILINE)
    cosines = [float(cosine) for _, cosine in found]
    assert len(found) == 5
    assert cosines == sorted(cosines, reverse=True)
    assert [label for label, _ in found].count("9") >= 4


# What the code has


def test_the_page_of_settings_is_what_make_docs_writes() -> None:
    assert PAGES["docs/settings.md"] == settings_page()


def test_the_chart_takes_the_settings_that_there_are() -> None:
    assert CHART_SCHEMA.read_text() == chart_schema()  # `make docs` writes it


def test_every_call_is_in_the_tables(openapi: dict[str, Any]) -> None:
    for path, methods in openapi.items():
        for method in methods:
            for name in ("README.md", "docs/api.md"):
                assert f"| `{method.upper()} {path}` |" in PAGES[name]


def test_every_parameter_is_in_the_table_of_its_call(openapi: dict[str, Any]) -> None:
    for path, methods in openapi.items():
        for method, call in methods.items():
            named = {parameter["name"] for parameter in call.get("parameters", ()) if parameter["in"] == "query"}
            table = section(PAGES["docs/api.md"], f"{method.upper()} {path}")
            assert not named or set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == named, path


def test_the_words_in_the_tables_are_words_that_the_calls_take(
    openapi: dict[str, Any], document: dict[str, Any]
) -> None:
    for path, methods in openapi.items():
        for method, call in methods.items():
            table = section(PAGES["docs/api.md"], f"{method.upper()} {path}")
            for parameter in call.get("parameters", ()):
                schema = document["components"]["schemas"].get(parameter["schema"].get("$ref", "").rpartition("/")[2])
                if schema and (row := re.search(rf"^\| `{parameter['name']}` \| (.+)", table, re.MULTILINE)):
                    assert set(re.findall("`([a-z-]+)`", row[1])) <= set(schema["enum"]), path


def test_every_status_is_in_the_table_of_errors(openapi: dict[str, Any]) -> None:
    statuses = {status for methods in openapi.values() for call in methods.values() for status in call["responses"]}
    for status in statuses - {"200"}:
        assert f"\n| {status} |" in PAGES["docs/api.md"]


def test_every_metric_is_in_the_table_and_no_other(client: TestClient) -> None:
    exposed = set(re.findall(r"^# TYPE (keras_service_\w+) ", client.get("/metrics").text, re.MULTILINE))
    exposed = {name for name in exposed if not name.endswith("_created")}
    table = re.findall(r"^\| `(keras_service_\w+)` \|", PAGES["docs/operations.md"], re.MULTILINE)
    assert set(table) == exposed
    for name, page in PAGES.items():
        assert set(re.findall(r"`(keras_service_\w+[a-z])`", page)) <= exposed, name


def test_the_tree_is_the_tree() -> None:
    page = PAGES["docs/architecture.md"]
    drawn = drawn_files(page[page.index("<!-- tree -->") : page.index("<!-- /tree -->")])
    there = {
        path.relative_to(ROOT)
        for package in ("models", "training", "service")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".js", ".css", ".html", ".h5"} and path.name != "__init__.py"
    }
    assert {path for path in drawn if path.parts[0] in {"models", "training", "service"}} == there
    for path in drawn:
        assert (ROOT / path).exists(), path


def drawn_files(tree: str) -> set[Path]:
    """The files that a tree names: in a folder's own line, or in lines that are indented further than that."""
    files: set[Path] = set()
    folders: list[tuple[int, Path]] = [(-1, Path())]
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        while indent <= folders[-1][0]:
            folders.pop()
        if folder := re.match(r"\s*([\w-]+)/", line):
            folders.append((indent, folders[-1][1] / folder[1]))
        files |= {folders[-1][1] / name for name in re.findall(r"[\w-]+\.(?:py|js|css|html|h5)\b", line)}
    return files


# Figures


def test_the_figures_of_the_model_are_the_cards(evaluation: Evaluation) -> None:
    page, validation, test = PAGES["docs/model-card.md"], evaluation.validation, evaluation.test
    assert f"| loss | {validation.loss:.4f} | {test.loss:.4f} |" in page
    assert f"| accuracy | {validation.accuracy:.4f} | {test.accuracy:.4f} |" in page
    for entry in evaluation.per_class:
        assert f"| {entry.name} | {entry.precision:.3f} | {entry.recall:.3f} | {entry.f1:.3f} |" in page
    assert f"accuracy of {test.accuracy:.4f}" in README
    assert f"{validation.accuracy:.4f} and {test.accuracy:.4f}" in PAGES["docs/training.md"]
    for text in (README, page):
        assert f"off by {evaluation.calibration_error:.4f}" in text


def test_the_speeds_are_those_of_the_committed_run() -> None:
    results = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    page = PAGES["docs/benchmarks.md"]
    rows = {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| ") and " · " in line}
    for row in results["measurements"]:
        cell = f" {row['requests_per_s']:,.0f} · {row['p50_ms']:.1f} · {row['p99_ms']:.1f} |"
        assert cell in rows[f"| {row['door']}"], row
    for start in results["starts"]:
        assert f"| {start['program']} | {start['seconds']:.1f} | {start['memory_mb']:,.0f} |" in page
    assert f"{results['function_per_s']:,.0f}" in page
    assert f"{results['overload']['offered_per_s']:,.0f} requests per second" in page
    shown = [line for line in README.splitlines() if " · " in line and line.startswith("| ")]
    assert shown
    assert set(shown) <= set(rows.values())
    for text in (README, page):
        assert f"measured {results['measured']}:" in text


def test_the_robustness_figures_are_those_of_the_committed_run() -> None:
    results = json.loads((ROOT / "docs" / "robustness.json").read_text())
    assert results["kinds"].keys() == KINDS.keys()
    assert results["ood_images"].keys() >= OOD_KINDS.keys()
    for name, figures in results["kinds"].items():
        assert f"| {name} | {figures['accuracy']:.3f} | {figures['agreement']:.3f} |" in PAGES["docs/photographs.md"]
    for name, figures in results["ood_images"].items():
        row = f"| {name} | {figures['from_thumbnails']:.3f} | {figures['from_photographs']:.3f} |"
        assert row in PAGES["docs/ood.md"]
    average = mean(figures["accuracy"] for figures in results["kinds"].values())
    for page in (README, PAGES["docs/photographs.md"]):
        assert f"{average:.3f}" in page
