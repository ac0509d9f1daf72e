"""What TensorFlow, absl, LiteRT and Keras note about themselves is in no log; what is an error is."""

import io
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.processes import FAKE_ENGINE, run_to_end, running_service
from tests.samples import ANKLE_BOOT, ROOT

NOTES = ("absl::InitializeLog", "I0000", "oneDNN", "XNNPACK", "cpu_feature_guard", "legacy")


@pytest.mark.parametrize("engine", ["light", "tensorflow"])
def test_each_line_is_json_while_a_model_is_converted_served_and_explained(engine: str, tmp_path: Path) -> None:
    with running_service("--log-format", "json", "--engine", engine, "--cache-dir", tmp_path) as service:
        picture = ANKLE_BOOT.read_bytes()
        for call in ("/predict", "/plot/attribution", "/plot/feature-maps", "/trace"):
            assert httpx.post(f"{service.url}{call}", content=picture, timeout=60).status_code == 200
        assert service.stop() == 0
    lines = (service.log + service.rest_of_log).splitlines()
    for line in lines:
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
        assert not any(note in line for note in NOTES)
    assert not [line for line in lines if json.loads(line)["level"] == "ERROR"]


def test_what_decoders_write_of_a_damaged_image_is_in_no_log() -> None:
    image = io.BytesIO()
    Image.new("RGB", (40, 40)).save(image, "TIFF", compression="tiff_lzw")
    damaged = bytearray(image.getvalue())
    damaged[60:90] = b"\xff" * 30  # of which libtiff says: Using code not yet in table
    with running_service(*FAKE_ENGINE, "--log-format", "json") as service:
        assert httpx.post(f"{service.url}/predict", content=bytes(damaged)).status_code == 422
        service.stop()
    for line in service.rest_of_log.splitlines():
        assert json.loads(line)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("service.check", ["models/best-cnn-model.h5"]),
        ("service.predict", [ANKLE_BOOT, "-o", "answers.csv", "--engine", "tensorflow"]),
        ("training", ["--data", "nowhere"]),
    ],
)
def test_programs_show_no_notes_of_libraries(module: str, options: list[object], tmp_path: Path) -> None:
    options = [tmp_path / one if one == "answers.csv" else one for one in options]
    finished = run_to_end(module, *options)
    assert not any(note in finished.stderr + finished.stdout for note in NOTES)
    assert "Traceback" not in finished.stderr


def written(code: str, **environment: str) -> str:
    """What a process writes to standard error, from C++ as it were, while the notes are left out."""
    program = f"import os\nfrom models.library_notes import library_notes_left_out\n{code}"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return finished.stderr


NOTE = r"I0000 00:00:1795744391.025263    4655 port.cc:153] oneDNN custom operations are on.\n"


def test_all_but_notes_is_passed_on() -> None:
    code = f"with library_notes_left_out(): os.write(2, b'{NOTE}E0000 real\\nINFO: ours\\nunfinished')"
    assert written(code) == "E0000 real\nINFO: ours\nunfinished"


def test_the_last_words_of_a_process_that_crashes_are_passed_on() -> None:
    code = f"with library_notes_left_out(): os.write(2, b'{NOTE}F0000 last words\\n'); os.abort()"
    assert written(code) == "F0000 last words\n"


def test_an_error_of_the_import_is_passed_on() -> None:
    assert "ModuleNotFoundError" in written("with library_notes_left_out(): import there_is_none")


def test_whoever_asks_for_the_notes_gets_them() -> None:
    assert "oneDNN" in written(f"with library_notes_left_out(): os.write(2, b'{NOTE}')", TF_CPP_MIN_LOG_LEVEL="0")


def test_standard_error_is_what_it_was_afterwards() -> None:
    code = f"for _ in range(2):\n  with library_notes_left_out(): os.write(2, b'{NOTE}')\nos.write(2, b'{NOTE}after')"
    assert written(code) == NOTE.replace("\\n", "\n") + "after"
