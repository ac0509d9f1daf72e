"""Health and reflection, by the clients that gRPC's own packages are for."""

import hashlib

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.processes import FAKE_ENGINE
from tests.service.protocols.grpc.serving import MODEL, infer, infer_request, running_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NAMES = [
    "",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
]


@pytest.mark.parametrize("name", [*NAMES, MODEL])
def test_the_service_its_protocols_and_its_models_are_healthy(channel: grpc.Channel, name: str) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == SERVING


def test_a_model_that_there_is_not_is_not_found(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="hats"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    watching = stub.Watch(health_pb2.HealthCheckRequest(service="hats"))
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watching.cancel()


def test_health_is_open_but_that_of_a_model_and_a_watch_ends_with_the_service() -> None:
    digest = hashlib.sha256(b"key").hexdigest()
    with (
        running_grpc(*FAKE_ENGINE, "--api-keys", digest) as (service, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == SERVING
        for name in (MODEL, "hats"):
            with pytest.raises(grpc.RpcError) as raised:
                stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watching).status == SERVING
        assert service.stop() == 0
        with pytest.raises(grpc.RpcError) as raised:
            list(watching)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_watch_without_a_question_is_told_so(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        list(channel.stream_stream("/grpc.health.v1.Health/Watch")(iter(())))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_who_only_watches_takes_no_call_from_those_who_have_a_key() -> None:
    digest = hashlib.sha256(b"key").hexdigest()
    with (
        running_grpc(*FAKE_ENGINE, "--api-keys", digest, "--max-connections", 4) as (_, address),
        grpc.insecure_channel(address) as channel,
        grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as another,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(4)]
        assert [next(each).status for each in watching] == [SERVING] * 4
        with pytest.raises(grpc.RpcError) as raised:
            next(health_pb2_grpc.HealthStub(another).Watch(health_pb2.HealthCheckRequest()))
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert infer(another)(infer_request(), metadata=[("x-api-key", "key")]).model_name == MODEL


def test_reflection_tells_of_all_services_with_their_messages(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        *NAMES[1:],
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    pool = DescriptorPool(database)
    for name in database.get_services():
        assert pool.FindServiceByName(name).methods
    request = pool.FindMessageTypeByName("tensorflow.serving.PredictRequest")
    assert request.fields_by_name["inputs"].number == 2
