"""What holds for every call: keys, ids, deadlines, bounds, metrics, log lines."""

import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from service.protocols.grpc.messages import rpc_status_pb2
from tests.processes import FAKE_ENGINE, Service
from tests.service.protocols.grpc.serving import INFERENCE, infer, infer_request, running_grpc, wait_until_begun

KEY = "a key of these tests"
LIVE, METADATA = f"{INFERENCE}/ServerLive", f"{INFERENCE}/ServerMetadata"


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Service, str]]:
    """Nobody may call it without a key, and with one 30 times a minute."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with running_grpc(*FAKE_ENGINE, "--api-keys", digest, "--requests-per-minute", 30) as running:
        yield running


def code_of(call: Any, *given: Any, **named: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(*given, **named)
    return raised.value.code(), raised.value.details()


def test_a_key_opens_what_needs_one_as_over_http(guarded: tuple[Service, str]) -> None:
    with grpc.insecure_channel(guarded[1]) as channel:
        assert channel.unary_unary(LIVE)(b"") == b"\x08\x01"
        for metadata in ((), (("x-api-key", "another"),), (("authorization", f"Basic {KEY}"),)):
            code, text = code_of(channel.unary_unary(METADATA), b"", metadata=metadata)
            assert code == grpc.StatusCode.UNAUTHENTICATED
            assert "X-API-Key: KEY" in text
        for metadata in ((("x-api-key", KEY),), (("authorization", f"Bearer {KEY}"),)):
            assert infer(channel)(infer_request(), metadata=metadata).outputs


def test_a_key_has_one_allowance_for_both_transports(guarded: tuple[Service, str]) -> None:
    service, address = guarded
    with grpc.insecure_channel(address) as channel:
        while httpx.get(f"{service.url}/v2", headers={"X-API-Key": KEY}).status_code == 200:
            pass
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(METADATA)(b"", metadata=(("x-api-key", KEY),))
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "this API key has 30 requests a minute" in raised.value.details()
        told = dict(raised.value.trailing_metadata())
        status = rpc_status_pb2.Status.FromString(told["grpc-status-details-bin"])
        retry = rpc_status_pb2.RetryInfo()
        assert status.details[0].Unpack(retry)
        assert 0 < retry.retry_delay.seconds < 60
        assert int(told["grpc-retry-pushback-ms"]) // 1000 == retry.retry_delay.seconds


def test_an_id_comes_back_with_answers_and_errors_and_stands_in_the_log(fake: tuple[Service, str]) -> None:
    with grpc.insecure_channel(fake[1]) as channel:
        _, call = channel.unary_unary(LIVE).with_call(b"", metadata=(("x-request-id", "mine-1"),))
        assert dict(call.trailing_metadata())["x-request-id"] == "mine-1"
        with pytest.raises(grpc.RpcError) as raised:
            infer(channel)(infer_request(model_name="hats"), metadata=(("x-request-id", "mine-2"),))
        assert dict(raised.value.trailing_metadata())["x-request-id"] == "mine-2"
        _, call = channel.unary_unary(LIVE).with_call(b"", metadata=(("x-request-id", "no id, with spaces"),))
        assert re.fullmatch("[0-9a-f]{32}", dict(call.trailing_metadata())["x-request-id"])


def test_each_call_is_a_line_of_the_access_log_and_counted_beside_http(fake: tuple[Service, str]) -> None:
    service, address = fake
    before = figures(service)
    with grpc.insecure_channel(address) as channel:
        infer(channel)(infer_request())
        code_of(infer(channel), infer_request(model_name="hats"))
        code_of(channel.unary_unary("/of.Nobody/Knows"), b"")
    while "/of.Nobody/Knows" not in service.next_line():
        pass
    assert f"{INFERENCE}/ModelInfer OK in" in service.rest_of_log
    after = figures(service)
    for status, route in (("200", f"{INFERENCE}/ModelInfer"), ("404", f"{INFERENCE}/ModelInfer"), ("404", "other")):
        series = f'keras_service_requests_total{{route="{route}",status="{status}"}}'
        assert after[series] == before.get(series, 0) + 1
    assert after['keras_service_rejected_total{reason="not_found"}'] == (
        before.get('keras_service_rejected_total{reason="not_found"}', 0) + 2
    )


def figures(service: Service) -> dict[str, float]:
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_a_message_that_is_none_or_too_large_is_refused(channel: grpc.Channel) -> None:
    code, text = code_of(channel.unary_unary(f"{INFERENCE}/ModelInfer"), b"\xff\xff")
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "no inference.ModelInferRequest" in text
    code, text = code_of(channel.unary_unary(f"{INFERENCE}/ModelInfer"), b"\x2a\x00" * 100_000)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "more than 1,005 fields" in text
    code, _ = code_of(infer(channel), infer_request(b"x" * 11_000_000))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    call = channel.stream_unary(f"{INFERENCE}/ModelInfer")
    assert code_of(call, iter(()))[1] == "the call has no message, expected one"


def test_what_unpacks_to_too_much_is_refused(fake: tuple[Service, str]) -> None:
    with grpc.insecure_channel(fake[1], compression=grpc.Compression.Gzip) as channel:
        assert infer(channel)(infer_request()).outputs
        code, _ = code_of(infer(channel), infer_request(bytes(200_000_000)))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_call_ends_by_its_deadline_and_where_it_is_cancelled() -> None:
    # Each image waits for others, as long as it may.
    options = ("--batch-wait-ms", 1000, "--max-batch-size", 1024)
    with running_grpc(*FAKE_ENGINE, *options) as (service, address), grpc.insecure_channel(address) as channel:
        wait_until_begun(channel)
        code, _ = code_of(infer(channel), infer_request(), timeout=0.5)
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED
        calls = [infer(channel).future(infer_request()) for _ in range(20)]
        wait_until_begun(channel)
        for call in calls:
            call.cancel()
        series = f'keras_service_requests_total{{route="{INFERENCE}/ModelInfer",status="%d"}}'
        wait_until(lambda: figures(service).get(series % 499, 0) + figures(service).get(series % 504, 0) == 21)
        assert series % 200 not in figures(service)


def test_more_than_may_wait_are_told_to_come_again() -> None:
    options = ("--batch-wait-ms", 1000, "--max-queue-size", 64, "--max-batch-size", 1024)
    with running_grpc(*FAKE_ENGINE, *options) as (_, address), grpc.insecure_channel(address) as channel:
        calls = [infer(channel).future(infer_request()) for _ in range(200)]
        codes = [call.code() for call in calls]
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        refused = calls[codes.index(grpc.StatusCode.UNAVAILABLE)]
        assert "wait for the model" in refused.details()
        assert dict(refused.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"


def test_more_calls_than_may_run_are_told_so_and_health_is_not() -> None:
    options = ("--batch-wait-ms", 1000, "--max-connections", 4)
    with running_grpc(*FAKE_ENGINE, *options) as (_, address):
        channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(3)]
        calls = [infer(channel).future(infer_request()) for channel in channels for _ in range(4)]
        assert channels[0].unary_unary(LIVE)(b"") == b"\x08\x01"
        codes = [call.code() for call in calls]
        assert codes.count(grpc.StatusCode.OK) >= 4
        assert grpc.StatusCode.UNAVAILABLE in codes
        for channel in channels:
            channel.close()


def wait_until(holds: Any) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
