"""Lines of the log: what a client or a file wrote forges none, floods none, and none is longer than a person reads."""

import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from textwrap import dedent

import httpx
import pytest

from models.card import ModelCard, write_card
from service.logs import MOST_A_MINUTE, MOST_CHARACTERS, LogFormat, NotTooOften
from tests.attacks.callers import ESCAPES, FORGED_LINE, class_names_that_forge_lines, path_that_forges_a_line
from tests.fakes import FakeEngine
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ROOT, SHIPPED_MODEL

# What a terminal obeys.
COMMANDS = [character for character in ESCAPES if not character.isprintable() and character not in "\r\n"]


_SET_UP = """
import logging.config
from service.logs import LOGGER, logging_configuration
from tests.attacks.callers import ESCAPES, FORGED_LINE
logging.config.dictConfig(logging_configuration("info", {form!r}))
ours, server = logging.getLogger(LOGGER), logging.getLogger("uvicorn.error")
"""
_FORMS = pytest.mark.parametrize("form", ["text", "json"])


def logged(form: LogFormat, code: str) -> str:
    """What a process writes that is set up as the service is."""
    program = _SET_UP.format(form=form) + dedent(code)
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return finished.stderr


@_FORMS
def test_text_of_others_stays_on_its_line(form: LogFormat) -> None:
    log = logged(form, r"""ours.warning("no model %s", f"x\n{FORGED_LINE}{ESCAPES}\ud800")""")
    assert len(log.splitlines()) == 1
    assert "version 000000000000" in log
    assert not [character for character in COMMANDS if character in log]


@_FORMS
def test_so_does_what_an_exception_says(form: LogFormat) -> None:
    code = r"""
        try:
            raise ValueError(f"no layer\n{FORGED_LINE}{ESCAPES}")
        except ValueError:
            ours.exception("failed")
    """
    log = logged(form, code)
    assert "no layer" in log
    assert not [line for line in log.splitlines() if line.startswith("INFO")]
    assert not [character for character in COMMANDS if character in log]


@_FORMS
def test_a_long_line_is_cut(form: LogFormat) -> None:
    (line,) = logged(form, """ours.info("GET /%s", "x" * 8000)""").splitlines()
    message = json.loads(line)["message"] if form == "json" else line
    assert len(message) < MOST_CHARACTERS + 80
    assert "… (8,005 characters)" in message


@_FORMS
def test_each_line_has_its_time_with_the_offset(form: LogFormat) -> None:
    lines = logged(form, """ours.info("one"); server.warning("two")""").splitlines()
    for line in lines:
        time = datetime.fromisoformat(json.loads(line)["time"] if form == "json" else line.split()[0])
        assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)
    assert len(lines) == 2


def test_json_has_no_second_message_for_terminals() -> None:
    code = r"""server.info("Started %d", 1, extra={"color_message": "Started \x1b[36m%d\x1b[0m"})"""
    (line,) = logged("json", code).splitlines()
    assert json.loads(line)["message"] == "Started 1"
    assert "x1b" not in line
    assert "u001b" not in line


@_FORMS
def test_whoever_makes_the_server_complain_does_not_fill_the_log(form: LogFormat) -> None:
    code = """
        for _ in range(1000):
            server.warning("Invalid HTTP request received.")
        server.warning("Another one.")
        for _ in range(20):
            ours.warning("one of our own")
    """
    assert len(logged(form, code).splitlines()) == MOST_A_MINUTE + 1 + 20


def test_what_was_left_out_is_counted_a_minute_later() -> None:
    now = [0.0]
    kept = NotTooOften(lambda: now[0])

    def warning() -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", logging.WARNING, "here.py", 1, "Invalid %s", ("request",), None)

    assert sum(kept.filter(warning()) for _ in range(100)) == MOST_A_MINUTE
    now[0] = 60
    later = warning()
    assert kept.filter(later)
    assert later.getMessage() == "Invalid request (90 like it were not logged)"
    assert sum(kept.filter(warning()) for _ in range(100)) == MOST_A_MINUTE - 1


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model whose classes have names that are not for people."""
    path = tmp_path_factory.mktemp("hostile") / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    card: ModelCard = FakeEngine.card_for(28, 28, 1)
    names = class_names_that_forge_lines()
    write_card(path, card.model_copy(update={"name": f"model\n{FORGED_LINE}{ESCAPES}", "class_names": names}))
    with running_service("--model-path", path, "--access-log", *FAKE_ENGINE) as service:
        yield service


def test_neither_a_model_nor_a_path_forges_a_line(hostile: Service) -> None:
    httpx.get(hostile.url + path_that_forges_a_line(), headers={"X-Request-ID": "a;b"})
    httpx.post(f"{hostile.url}/v2/repository/models/{path_that_forges_a_line()[1:]}/load")
    exposition = httpx.get(f"{hostile.url}/metrics").text
    hostile.stop()
    log = hostile.log + hostile.rest_of_log
    assert r"GET /nothing\nINFO:     version 000000000000" in log
    assert not [line for line in log.splitlines() if line.startswith(FORGED_LINE)]
    assert not [character for character in COMMANDS if character in log]
    assert FORGED_LINE not in exposition.splitlines()


KEY = "a key of nobody else's"
NAME = "holiday-picture.png"


def refuse_some(service: Service) -> None:
    """By key, kind of image, unknown call and wrong parameter; the answers have to tell the same as the log."""
    headers = {"X-API-Key": KEY}
    assert httpx.get(f"{service.url}/metrics", headers={"X-API-Key": "wrong-key"}).status_code == 401
    files = {"file": (NAME, b"no image at all")}
    assert httpx.post(f"{service.url}/predict", files=files, headers=headers).status_code == 415
    assert httpx.get(f"{service.url}/nothing", headers=headers).status_code == 404
    assert httpx.post(f"{service.url}/predict?top_k=many", content=b"x", headers=headers).status_code == 400


@pytest.mark.parametrize("access_log", [True, False])
def test_the_reason_of_each_refusal_is_logged_without_keys_and_names(access_log: bool) -> None:
    options = ["--api-keys", hashlib.sha256(KEY.encode()).hexdigest(), *(["--access-log"] if access_log else [])]
    with running_service(*FAKE_ENGINE, *options, "--log-format", "json") as service:
        refuse_some(service)
        assert service.stop() == 0
    lines = [json.loads(line) for line in service.rest_of_log.splitlines()]
    told = [(line["status"], line["reason"]) for line in lines if "reason" in line]
    expected = ["unauthorized", "unknown_format", "not_found", "malformed_request"]
    assert told == list(zip([401, 415, 404, 400], expected, strict=True))
    (unauthorized,) = (line for line in lines if line.get("reason") == "unauthorized")
    assert "the API key is not one that this service knows" in unauthorized["detail"]
    assert unauthorized["detail"] in unauthorized["message"]
    assert unauthorized["level"] == ("INFO" if access_log else "WARNING")
    for secret in (KEY, "wrong-key", NAME):
        assert secret not in service.rest_of_log


def test_a_flood_of_refusals_does_not_fill_the_log_nor_hide_other_reasons() -> None:
    with running_service(*FAKE_ENGINE) as service:
        with httpx.Client(base_url=service.url) as client:
            for _ in range(20 * MOST_A_MINUTE):
                client.get("/nothing")
            client.post("/predict", content=b"no image at all")
        assert service.stop() == 0
    assert service.rest_of_log.count("not_found") <= 2 * MOST_A_MINUTE  # of the two minutes that it may touch
    assert service.rest_of_log.count("unsupported_media_type") == 1
