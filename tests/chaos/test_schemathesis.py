"""Asks the real service what its OpenAPI document says it answers: valid, damaged and forbidden requests of each call.

The long form asks other things each time, the short one the same few hundred every time.
"""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError, ScenarioFinished
from schemathesis.transport.serialization import Binary

from tests.browser import wait_until_it_explains
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, DRAWINGS, SAMPLE_FILES, SHIPPED_MODEL, encoded, pixels_of

SHORT_SEED = 1
# How often each call is asked for anything that fits its schema, beside what is at the edges of it, which is some 320
# cases. /plot and the attribution take up to a second each, so a long run prefers what is asked most.
CASES_A_CALL = {"/predict": 50, "/predict/batch": 25, "/embed": 25}
CASES_OF_OTHERS = 4

# Maps are slow to draw, up to a second each, so that a short run names the one layer that has few values.
LAYERS = ["conv2d", "conv2d_1", "max_pooling2d", "max_pooling2d_1", "dense", "dense_1"] if FORM.is_long else ["dense_1"]

_BOOT = Image.fromarray(pixels_of(ANKLE_BOOT))
SOUND = [
    *(file.read_bytes() for file in (*SAMPLE_FILES[::20], *DRAWINGS[:3])),
    *(encoded(_BOOT.convert("RGB").resize((90, 70)), form) for form in ("JPEG", "GIF", "BMP", "WEBP", "AVIF")),
]
# What a JSON schema cannot say: that bytes are an image that can be decoded, and which layers and classes there are.
BEYOND_THE_SCHEMA = ["2xx", "404", "415", "422"]
# In the protocols of others: tensors and rows that fit their schema, and not the model or each other.
_MISFITS: dict[str, object] = {"positive_data_acceptance": {"expected-statuses": [*BEYOND_THE_SCHEMA, "400"]}}
VERSION = hashlib.sha256(SHIPPED_MODEL.read_bytes()).hexdigest()[:12]
# Left out: `ignored_auth` and those about resources that are made and deleted (`use_after_free`,
# `ensure_resource_availability`, `object_level_authorization`), because keys are off and nothing is made here;
# `max_response_time`, because a test of times fails on a busy machine. Method tokens that HTTP does not know never
# reach the application, uvicorn refuses them, so neither the document nor the checks speak of them.
# `missing_required_header` has nothing to do as long as no call needs a header.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)


@dataclass
class Outcome:
    """What came of one run: how many requests, the status of each, and what was wrong."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    sound_images: int = 0


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SOUND)))
    place = draw(st.integers(1, len(content) - 1))
    if draw(st.booleans()):
        return bytes(content[:place])
    content[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


IMAGES = st.one_of(st.sampled_from(SOUND), _damaged(), st.binary(min_size=1, max_size=200))


@pytest.fixture(scope="module", autouse=True)
def _images() -> None:
    """Let bodies and fields that hold a file be images: sound ones, damaged ones, and other bytes."""
    for media_type in ("image/png", "image/jpeg", "image/webp", "image/*"):
        schemathesis.openapi.media_type(media_type, IMAGES)
    schemathesis.openapi.format("binary", IMAGES.map(Binary))
    schemathesis.openapi.format("byte", IMAGES.map(lambda image: base64.b64encode(image).decode()))


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service("--request-timeout-s", 25) as service:  # within the 30 s in which it is to answer here
        wait_until_it_explains(service)
        yield service


def _served(version: str) -> dict[str, str]:
    """With other names in the path, no request would get beyond them."""
    return {"path.model": "best-cnn-model", "path.version": version}


def configuration(seed: int, factor: int) -> SchemathesisConfig:
    """Each call `factor` times as often as in a short run; the same requests for the same `seed`."""

    def examples(count: int) -> dict[str, object]:
        return {"max-examples": count * factor, "no-shrink": True, "deterministic": not FORM.is_long}

    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "request-timeout": 30,
            "generation": examples(CASES_OF_OTHERS),
            "phases": {"stateful": {"enabled": False}},
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
                "positive_data_acceptance": {"enabled": True, "expected-statuses": BEYOND_THE_SCHEMA},
            },
            "operations": [
                *({"include-path": path, "generation": examples(count)} for path, count in CASES_A_CALL.items()),
                {"include-path-regex": "^/v2", "checks": _MISFITS, "parameters": _served(VERSION)},
                {
                    "include-path-regex": "^/v1",
                    # TensorFlow Serving has 400 for another method, and its clients know no other status.
                    "checks": {**_MISFITS, "unsupported_method": {"enabled": False}},
                    "parameters": _served(str(int(VERSION, 16))),
                },
            ],
            # Without the model's own names nearly every request would end at the name.
            "dictionaries": {
                "layers": {"values": LAYERS},
                "classes": {"values": ["Bag", "ankle boot", "0", "9"]},
                "places": {"values": [0, 1, 13]},
                "models": {"values": ["best-cnn-model"]},
            },
            "parameters": {
                name: {"dictionary": dictionary, "probability": 0.7}
                for name, dictionary in {
                    "query.model": "models",
                    "query.layer": "layers",
                    "query.class": "classes",
                    "query.channel": "places",
                    "query.filter": "places",
                    "query.row": "places",
                    "query.column": "places",
                }.items()
            },
        }
    )


def ask(url: str, seed: int, factor: int, outcome: Outcome) -> None:
    """Add one run over the whole document to `outcome`."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=configuration(seed, factor))
    for event in from_schema(schema).execute():
        match event:
            case ScenarioFinished():
                _count(event, outcome)
            case NonFatalError():
                outcome.failures.append(f"{event.label}: {event.value!r}")
            case FatalError():
                raise event.exception
            case EngineFinished():
                outcome.failures += map(str, event.failures)


def _count(event: ScenarioFinished, outcome: Outcome) -> None:
    recorder = event.recorder
    outcome.cases += len(recorder.interactions)
    for case_id, interaction in recorder.interactions.items():
        where = f"{recorder.label} {case_id}"
        if interaction.response is None:
            outcome.failures.append(f"{where}: no answer")
            continue
        status = interaction.response.status_code
        outcome.statuses[status] += 1
        for check in recorder.checks.get(case_id, ()):
            if check.status != Status.SUCCESS:
                info = check.failure_info
                told = f"{info.failure}\n{info.code_sample}" if info else "failed"
                outcome.failures.append(f"{where}: {check.name}: {told}")
        sent = interaction.request.body or b""
        valid = recorder.cases[case_id].value.meta.generation.mode.is_positive
        if valid and recorder.label == "POST /predict" and any(image in sent for image in SOUND):
            outcome.sound_images += 1
            if status not in {200, 404}:  # a model that is not there may be asked for
                outcome.failures.append(f"{where}: a sound image was answered with {status}")


@pytest.mark.timeout(600)  # hundreds of calls, of which some wait for what explains to start
def test_every_answer_is_one_that_the_document_describes(service: Service, figures: Callable[[str, str], Row]) -> None:
    row = figures(f"{FORM.made_up_cases:,} made-up requests (schemathesis)", "no 5xx, no answer outside the document")
    outcome = Outcome()
    seed = random.SystemRandom().randrange(2**32) if FORM.is_long else SHORT_SEED
    row.figures["first seed"] = str(seed)
    while outcome.cases < FORM.made_up_cases and not outcome.failures:
        ask(service.url, seed, FORM.made_up_factor, outcome)
        progress(f"{outcome.cases:,} cases, {len(outcome.failures)} failures")
        seed += 1
    assert service.stop() == 0
    row.figures |= {
        "cases": outcome.cases,
        "sound images to /predict": outcome.sound_images,
        "statuses": {str(status): count for status, count in sorted(outcome.statuses.items())},
    }
    for failure in outcome.failures[:20]:
        row.must(failure, reached=False)
    row.must("sound images were among them", outcome.sound_images > 10)
    row.must("no traceback in the log", "Traceback" not in service.rest_of_log)
    row.settle()
