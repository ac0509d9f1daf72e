"""Clients that three generators make of the OpenAPI document: they fit its types, and the running service.

The generators come with `make clients`. What each client does is in the program beside this file that is named after
its generator, and in the examples of docs/clients.md and docs/first-requests.md.
"""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.processes import Service
from tests.samples import ANKLE_BOOT, ROOT
from tests.test_docs import DEFAULT_ADDRESS, PAGES, blocks

HERE = Path(__file__).parent
TOOLS = ROOT / ".venv-clients" / "bin"
NO_IMAGE = HERE / "package.json"
# Redocly would tell its maker of each use, and ask for newer versions.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
PYTHON_EXAMPLE = next(block for block in blocks(PAGES["docs/clients.md"], "python") if "image_service" in block)
(TYPESCRIPT_EXAMPLE,) = blocks(PAGES["docs/clients.md"], "ts")
(FETCH_EXAMPLE,) = blocks(PAGES["docs/first-requests.md"], "ts")


@pytest.fixture(scope="module")
def folder(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the document is, and what is made of it."""
    folder = tmp_path_factory.mktemp("clients")
    with urlopen(f"{service.url}/openapi.json") as document:
        (folder / "openapi.json").write_bytes(document.read())
    for file in HERE.iterdir():
        if file.is_file() and file.name != "__init__.py":
            shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    (folder / "tests").symlink_to(ROOT / "tests")  # whose pictures the examples send
    shutil.copy(ROOT / "README.md", folder)  # no link: a generator writes its own there
    return folder


def run(folder: Path, *command: object) -> str:
    """What the command says, in `folder`, with the generators' programs before those of the machine."""
    path = os.pathsep.join([str(HERE / "node_modules" / ".bin"), str(TOOLS), os.environ["PATH"]])
    finished = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": "", **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"{command}: {finished.stdout}{finished.stderr}"
    return finished.stdout + finished.stderr


def of_this_service(example: str, service: Service) -> str:
    return example.replace(f"http://{DEFAULT_ADDRESS}", service.url)


def test_redocly_has_nothing_to_say_of_the_document(folder: Path) -> None:
    told = run(folder, "redocly", "lint", "openapi.json")
    assert "Your API description is valid" in told
    assert "warning" not in told


def test_spectral_has_nothing_to_say_of_the_document(folder: Path) -> None:
    assert "No results" in run(folder, "spectral", "lint", "--fail-severity", "hint", "openapi.json")


def test_openapi_python_client(folder: Path, service: Service) -> None:
    told = run(
        folder,
        *("openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none"),
        *("--config", "openapi-python-client.yaml", "--output-path", "image_service"),
    )
    assert "WARNING" not in told.upper(), told
    (folder / "python_example.py").write_text(of_this_service(PYTHON_EXAMPLE, service))
    run(
        folder,
        "mypy",
        "image_service",
        "use_openapi_python_client.py",
        "python_example.py",
    )
    run(folder, "python", "use_openapi_python_client.py", service.url, ANKLE_BOOT, NO_IMAGE)
    assert "Bag" in run(folder, "python", "python_example.py")


def test_openapi_generator(folder: Path, service: Service) -> None:
    run(
        folder,
        *("openapi-generator-cli", "generate", "--generator-name", "python", "--input-spec", "openapi.json"),
        *("--package-name", "image_service_api", "--output", "."),
        *("--global-property", "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"),
    )
    run(folder, "mypy", "image_service_api", "use_openapi_generator.py")
    run(folder, "python", "use_openapi_generator.py", service.url, ANKLE_BOOT, NO_IMAGE)


def test_openapi_typescript(folder: Path, service: Service) -> None:
    run(folder, "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    (folder / "example.ts").write_text(of_this_service(TYPESCRIPT_EXAMPLE, service))
    (folder / "fetch_example.mts").write_text(of_this_service(FETCH_EXAMPLE, service))
    run(folder, "tsc", "--project", "tsconfig.json")
    run(folder, "node", "use_openapi_typescript.ts", service.url, ANKLE_BOOT, NO_IMAGE)
    assert "Bag" in run(folder, "node", "example.ts")
    bag, same_bag, readme = run(folder, "node", "fetch_example.mts").splitlines()
    assert bag in {"Bag 1.000", "Bag 0.999"}
    assert same_bag == "bag.png Bag"
    assert readme.startswith("README.md the content is not an image")
