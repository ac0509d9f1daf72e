"""Requests made up from the OpenAPI document, fitting and unfitting: no 5xx, no answer that it does not tell of."""

from collections.abc import Callable, Iterator

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, DRAWINGS, SAMPLE_FILES, encoded, pixels_of

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
TIMEOUT_S = 60
# No schema can say which layers a network has, or which bytes are a picture: what fits the document may be refused.
LEFT_OUT = [positive_data_acceptance]

PICTURES = [file.read_bytes() for file in (*SAMPLE_FILES[::20], *DRAWINGS)] + [
    encoded(pixels_of(ANKLE_BOOT), form) for form in ("JPEG", "GIF", "BMP", "WEBP", "AVIF")
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with another byte somewhere, or without its end."""
    picture = bytearray(draw(st.sampled_from(PICTURES)))
    place = draw(st.integers(0, len(picture) - 1))
    if draw(st.booleans()):
        return bytes(picture[:place])
    picture[place] = draw(st.integers(0, 255))
    return bytes(picture)


pictures = st.sampled_from(PICTURES) | damaged() | st.binary(max_size=200)
for media_type in ("image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp", "image/avif"):
    schemathesis.openapi.media_type(media_type, pictures)
schemathesis.openapi.format("binary", pictures)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


def operations(service: Service) -> list[APIOperation]:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def try_out(operation: APIOperation, mode: GenerationMode, cases: int, url: str) -> int:
    """How many cases were tried. Raises what schemathesis finds, with the shortest case that shows it."""
    count = 0

    @hypothesis.settings(
        max_examples=cases,
        derandomize=not FORM.is_long,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def one(case: Case) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(base_url=url, timeout=TIMEOUT_S, excluded_checks=LEFT_OUT)

    try:
        one()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # there is nothing that could be wrong
    return count


def test_every_answer_is_one_that_the_document_tells_of(service: Service, figures: Callable[[str, str], Row]) -> None:
    row = figures(f"{FORM.made_up_cases:,} made-up requests (schemathesis)", "no 5xx, no answer outside the document")
    all_operations = operations(service)
    each = -(-FORM.made_up_cases // (len(all_operations) * len(MODES)))
    cases = 0
    for operation in all_operations:
        for mode in MODES:
            try:
                cases += try_out(operation, mode, each, service.url)
            except (Exception, BaseExceptionGroup) as error:
                row.must(f"{operation.label}, {mode.value}: {error}", reached=False)
        progress(f"{operation.label}: {cases:,} cases so far")
    assert service.stop() == 0
    row.figures |= {"cases": cases, "calls": len(all_operations)}
    row.must("no traceback in the log", "Traceback" not in service.rest_of_log)
    row.settle()
