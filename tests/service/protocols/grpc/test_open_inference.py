"""The Open Inference Protocol over gRPC, by Triton's own, unmodified clients and by hand."""

import asyncio
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from models.card import FASHION_MNIST_CLASS_NAMES
from service.protocols.grpc.messages import open_inference_pb2 as pb
from tests.processes import Service
from tests.samples import ANKLE_BOOT, SAMPLE_FILES, pixels_of
from tests.service.protocols.grpc.serving import MODEL, encoded_input, infer, infer_request

NAMES = FASHION_MNIST_CLASS_NAMES
BOOT = ANKLE_BOOT.read_bytes()


@pytest.fixture(scope="module")
def client(fake: tuple[Service, str]) -> Any:
    with triton.InferenceServerClient(fake[1]) as client:
        yield client


def over_http(service: Service, path: str, **request: Any) -> Any:
    response = httpx.get(f"{service.url}{path}") if not request else httpx.post(f"{service.url}{path}", **request)
    return response.json()


def pixels_input(*labels: int) -> Any:
    pixels = np.stack([pixels_of(SAMPLE_FILES[label * 20]) for label in labels])[..., np.newaxis]
    tensor = triton.InferInput("input", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    return tensor


def test_it_tells_of_itself_and_its_models_what_http_tells(fake: tuple[Service, str], client: Any) -> None:
    service, _ = fake
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.get_server_metadata(as_json=True) == over_http(service, "/v2")
    known = over_http(service, f"/v2/models/{MODEL}")
    told = client.get_model_metadata(MODEL, as_json=True)
    assert told["versions"] == known["versions"]
    assert [int(size) for size in told["inputs"][0]["shape"]] == known["inputs"][0]["shape"]
    assert [output["name"] for output in told["outputs"]] == ["probabilities", "embedding"]
    config = client.get_model_config(MODEL, known["versions"][0]).config
    assert (config.max_batch_size, list(config.input[0].dims)) == (5, [28, 28, 1])
    assert triton.model_config_pb2.DataType.Name(config.input[0].data_type) == "TYPE_UINT8"
    (model,) = client.get_model_repository_index().models
    assert (model.name, model.version, model.state) == (MODEL, known["versions"][0], "READY")


def test_encoded_pictures_and_pixels_have_the_answers_that_they_have_over_http(
    fake: tuple[Service, str], client: Any
) -> None:
    pictures = [SAMPLE_FILES[label * 20] for label in (0, 1, 9)]
    expected = [over_http(fake[0], "/predict", content=picture.read_bytes())["probabilities"] for picture in pictures]
    expected = [
        [one["probability"] for one in sorted(row, key=lambda one: NAMES.index(one["label"]))] for row in expected
    ]
    for tensor in (encoded_input(*(picture.read_bytes() for picture in pictures)), pixels_input(0, 1, 9)):
        answer = client.infer(MODEL, [tensor], request_id="mine")
        assert answer.as_numpy("probabilities") == pytest.approx(np.array(expected), abs=1e-6)
        assert answer.get_response().id == "mine"


def test_classes_and_embeddings_are_answered_where_they_are_asked_for(client: Any) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", class_count=2), triton.InferRequestedOutput("embedding")]
    answer = client.infer(MODEL, [pixels_input(9, 0)], outputs=outputs)
    classes = answer.as_numpy("probabilities")
    assert classes.shape == (2, 2)
    assert classes[0, 0].count(b":") == 2
    assert answer.as_numpy("embedding").shape == (2, 10)


def test_the_asynchronous_client_is_answered_many_at_once(fake: tuple[Service, str]) -> None:
    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(fake[1]) as client:
            return await asyncio.gather(*(client.infer(MODEL, [encoded_input(BOOT)]) for _ in range(100)))

    answers = [answer.as_numpy("probabilities") for answer in asyncio.run(ask())]
    assert all((answer == answers[0]).all() for answer in answers)
    assert answers[0].shape == (1, 10)


def test_a_stream_of_requests_is_not_taken(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    with pytest.raises(grpc.RpcError) as raised:
        list(call(iter([b""])))
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "there is no method" in raised.value.details()


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("UINT8", "uint_contents", list(range(784 // 4)) * 4),
        ("FP32", "fp32_contents", [0.25] * 784),
        ("FP64", "fp64_contents", [0.25] * 784),
    ],
)
def test_contents_one_by_one_are_as_raw_ones_and_answered_so(
    channel: grpc.Channel, datatype: str, field: str, values: list[float]
) -> None:
    tensor = {"name": "input", "datatype": datatype, "shape": [1, 28, 28, 1]}
    dtype = {"UINT8": "u1", "FP32": "<f4", "FP64": "<f8"}[datatype]
    raw = infer(channel)(
        pb.ModelInferRequest(
            model_name=MODEL, inputs=[tensor], raw_input_contents=[np.array(values).astype(dtype).tobytes()]
        )
    )
    typed = infer(channel)(pb.ModelInferRequest(model_name=MODEL, inputs=[{**tensor, "contents": {field: values}}]))
    assert list(typed.outputs[0].contents.fp32_contents) == list(np.frombuffer(raw.raw_output_contents[0], "<f4"))
    assert not typed.raw_output_contents


BAD = [
    ({"model_name": "hats"}, grpc.StatusCode.NOT_FOUND, "there is no model 'hats'"),
    ({"model_version": "000000000000"}, grpc.StatusCode.NOT_FOUND, "version '000000000000' is not here"),
    ({"inputs": []}, grpc.StatusCode.INVALID_ARGUMENT, "inputs: List should have at least 1 item"),
    ({"outputs": [{"name": "hat"}]}, grpc.StatusCode.INVALID_ARGUMENT, "there is no output 'hat'"),
    ({"raw_input_contents": [b"x"]}, grpc.StatusCode.INVALID_ARGUMENT, "has contents, and raw_input_contents too"),
    ({"id": "x" * 1001}, grpc.StatusCode.INVALID_ARGUMENT, "id: String should have at most 1000 characters"),
]


@pytest.mark.parametrize(("wrong", "code", "text"), BAD, ids=[next(iter(wrong)) for wrong, *_ in BAD])
def test_a_wrong_request_is_told_what_is_wrong(
    channel: grpc.Channel, wrong: dict[str, Any], code: grpc.StatusCode, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        infer(channel)(infer_request(**wrong))
    assert raised.value.code() == code
    assert text in raised.value.details()


BAD_INPUTS = [
    ({"name": "hat"}, "there is no input 'hat'"),
    ({"datatype": "INT8"}, "the datatype is 'INT8'"),
    ({"shape": [-1, 28, 28, 1]}, "greater than or equal to 0"),
    ({"shape": [6, 28, 28, 1]}, "has 6 rows, expected 1 to 5"),
    ({"shape": [1, 28, 28, 3]}, "expected [n, 28, 28, 1]"),
    ({"contents": {"fp32_contents": [0.0] * 784}}, "fp32_contents came for UINT8, expected uint_contents alone"),
    ({"contents": {"uint_contents": [0] * 783}}, "uint_contents has 783 values, and the shape takes 784"),
    ({"contents": {"uint_contents": [256] * 784}}, "whole numbers from 0 to 255"),
    ({"contents": {}}, "the data is a list of 0"),
    ({"datatype": "FP16", "contents": {"fp32_contents": [0.0]}}, "only raw_input_contents"),
    ({"parameters": {"shared_memory_region": {"string_param": "x"}}}, "there is no shared memory"),
]


@pytest.mark.parametrize(("wrong", "text"), BAD_INPUTS)
def test_a_wrong_input_is_told_what_is_wrong(channel: grpc.Channel, wrong: dict[str, Any], text: str) -> None:
    right = {
        "name": "input",
        "datatype": "UINT8",
        "shape": [1, 28, 28, 1],
        "contents": {"uint_contents": [0] * 784},
    }
    with pytest.raises(grpc.RpcError) as raised:
        infer(channel)(pb.ModelInferRequest(model_name=MODEL, inputs=[right | wrong]))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text in raised.value.details()


def test_what_is_no_image_is_told_as_over_http(fake: tuple[Service, str], client: Any) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer(MODEL, [encoded_input(BOOT, b"GIF8 or so")])
    tensor = {"name": "input", "datatype": "BYTES", "shape": [2], "data": ["R0lGOCBvciBzbw=="] * 2}
    told = over_http(fake[0], f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]})["error"]
    assert raised.value.message() == told.replace("element 0", "element 1")
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_requests_are_counted_together_with_those_over_http(fake: tuple[Service, str], client: Any) -> None:
    def counted() -> tuple[int, int]:
        (statistics,) = client.get_inference_statistics(MODEL).model_stats
        return statistics.inference_count, statistics.inference_stats.success.count

    rows, requests = counted()
    client.infer(MODEL, [encoded_input(BOOT, BOOT)])
    tensor = {"name": "input", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784}
    over_http(fake[0], f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]})
    assert counted() == (rows + 3, requests + 2)


def test_models_are_loaded_and_unloaded(client: Any) -> None:
    client.load_model(MODEL)
    with pytest.raises(InferenceServerException, match="stays loaded"):
        client.unload_model(MODEL)
    with pytest.raises(InferenceServerException, match="there is no model 'hats'"):
        client.load_model("hats")
