"""A service with the fake engine for all tests of gRPC that leave it as it is."""

from collections.abc import Iterator

import grpc
import pytest

from tests.processes import FAKE_ENGINE, Service
from tests.service.protocols.grpc.serving import running_grpc


@pytest.fixture(scope="package")
def fake() -> Iterator[tuple[Service, str]]:
    with running_grpc(*FAKE_ENGINE, "--max-images-per-request", 5, "--access-log") as running:
        yield running


@pytest.fixture(scope="package")
def channel(fake: tuple[Service, str]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(fake[1]) as channel:
        yield channel
