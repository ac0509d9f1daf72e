"""With the light engine and with TensorFlow in the same process: gRPC's answers are those of HTTP, to all clients."""

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as tfserving

from tests.processes import Service
from tests.samples import SAMPLE_FILES, pixels_of
from tests.service.protocols.grpc.serving import MODEL, encoded_input, running_grpc

PICTURES = [SAMPLE_FILES[label * 20 + 3].read_bytes() for label in range(10)]
PIXELS = np.stack([pixels_of(SAMPLE_FILES[label * 20 + 3]) for label in range(10)])[..., np.newaxis]


@pytest.fixture(scope="module", params=["light", "tensorflow"])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Service, str]]:
    with running_grpc("--engine", request.param) as running:
        yield running


@pytest.fixture(scope="module")
def channel(running: tuple[Service, str]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(running[1]) as channel:
        yield channel


def predict_request(tensor: Any, name: str = "input", **more: Any) -> Any:
    given = tf.make_tensor_proto(tensor)
    return predict_pb2.PredictRequest(**{"model_spec": {"name": MODEL}, "inputs": {name: given}} | more)


def predicted(channel: grpc.Channel, tensor: Any) -> npt.NDArray[np.float32]:
    answer = tfserving.PredictionServiceStub(channel).Predict(predict_request(tensor))
    values: npt.NDArray[np.float32] = tf.make_ndarray(answer.outputs["output"])
    assert list(answer.outputs["output"].float_val) == values.ravel().tolist()
    return values


def refused(channel: grpc.Channel, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        tfserving.PredictionServiceStub(channel).Predict(request)
    return raised.value.code(), raised.value.details()


def test_tritons_client_has_the_same_answers_by_both_ways(running: tuple[Service, str]) -> None:
    service, address = running
    pixels = PIXELS / np.float32(255)
    with (
        triton.InferenceServerClient(address) as client,
        triton_http.InferenceServerClient(service.url.removeprefix("http://")) as http,
    ):
        over_http = triton_http.InferInput("input", [10], "BYTES")
        over_http.set_data_from_numpy(np.array(PICTURES, object))
        expected = http.infer(MODEL, [over_http]).as_numpy("probabilities")
        for given in (PIXELS, pixels):
            tensor = triton.InferInput("input", list(given.shape), "UINT8" if given is PIXELS else "FP32")
            tensor.set_data_from_numpy(given)
            assert client.infer(MODEL, [tensor]).as_numpy("probabilities") == pytest.approx(expected, abs=1e-6)
        answer = client.infer(MODEL, [encoded_input(*PICTURES)])
        assert answer.as_numpy("probabilities") == pytest.approx(expected, abs=1e-6)
    assert expected.argmax(1).tolist() == list(range(10))


def test_tensorflow_servings_client_has_the_same_answers_by_both_ways(
    running: tuple[Service, str], channel: grpc.Channel
) -> None:
    floats = PIXELS / np.float32(255)
    body = {"inputs": floats.tolist()}
    answer = httpx.post(f"{running[0].url}/v1/models/{MODEL}:predict", json=body, timeout=60)
    expected = np.array(answer.json()["outputs"])
    for given in (PICTURES, np.array(PICTURES, object)[:, np.newaxis], PIXELS, floats, floats.astype(np.float64)):
        assert predicted(channel, given) == pytest.approx(expected, abs=1e-6)
    assert predicted(channel, PICTURES[0]) == pytest.approx(expected[:1], abs=1e-6)
    assert predicted(channel, floats[..., 0]) == pytest.approx(expected, abs=1e-6)


def test_values_one_by_one_may_be_fewer_than_the_shape_takes(channel: grpc.Channel) -> None:
    short = predict_request(np.zeros((1, 28, 28, 1), np.float32))
    short.inputs["input"].ClearField("tensor_content")
    short.inputs["input"].float_val.extend([1.0, 0.5])
    answer = tfserving.PredictionServiceStub(channel).Predict(short)
    full = np.full((1, 28, 28, 1), 0.5, np.float32)
    full[0, 0, 0, 0] = 1
    assert tf.make_ndarray(answer.outputs["output"]) == pytest.approx(predicted(channel, full), abs=1e-6)


def test_tensorflow_servings_client_learns_of_the_model(running: tuple[Service, str], channel: grpc.Channel) -> None:
    url = f"{running[0].url}/v1/models/{MODEL}"
    (status,) = httpx.get(url).json()["model_version_status"]
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": MODEL})
    (told,) = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request).model_version_status
    assert (str(told.version), told.state) == (status["version"], get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": MODEL}, metadata_field=["signature_def"])
    answer = tfserving.PredictionServiceStub(channel).GetModelMetadata(asked)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert [size.size for size in signature.inputs["input"].tensor_shape.dim] == [-1, 28, 28, 1]
    assert signature.outputs["output"].dtype == tf.float32.as_datatype_enum
    by_version = predict_request(PIXELS, model_spec={"name": MODEL.upper(), "version": {"value": told.version}})
    by_label = predict_request(PIXELS, model_spec={"name": MODEL, "version_label": "stable"}, output_filter=["output"])
    for request in (by_version, by_label):
        answer = tfserving.PredictionServiceStub(channel).Predict(request)
        assert answer.model_spec.version.value == told.version


WRONG = [
    ({"model_spec": {"name": "hats"}}, grpc.StatusCode.NOT_FOUND, "there is no model 'hats'"),
    ({"model_spec": {"name": MODEL, "version": {"value": 7}}}, grpc.StatusCode.NOT_FOUND, "there is no version 7"),
    ({"model_spec": {"name": MODEL, "version_label": "x"}}, grpc.StatusCode.NOT_FOUND, "there is no label 'x'"),
    ({"model_spec": {"name": MODEL, "signature_name": "x"}}, grpc.StatusCode.INVALID_ARGUMENT, "signature_name is 'x'"),
    ({"output_filter": ["x"]}, grpc.StatusCode.INVALID_ARGUMENT, "there is no output 'x'; there is 'output'"),
    ({"name": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "'inputs' has 'x'; the model has one input, 'input'"),
    ({"inputs": {}}, grpc.StatusCode.INVALID_ARGUMENT, "'inputs' has nothing"),
    ({"tensor": PIXELS.astype(np.int32)}, grpc.StatusCode.INVALID_ARGUMENT, "is DT_INT32, expected DT_FLOAT"),
    ({"tensor": PIXELS[:, :14]}, grpc.StatusCode.INVALID_ARGUMENT, "has the shape [10, 14, 28, 1]"),
    ({"tensor": np.zeros((65, 28, 28, 1), np.uint8)}, grpc.StatusCode.INVALID_ARGUMENT, "65 rows, expected 1 to 64"),
    ({"tensor": [b"no image"]}, grpc.StatusCode.INVALID_ARGUMENT, "inputs[0]: the content is not an image"),
]


@pytest.mark.parametrize(("wrong", "code", "text"), WRONG, ids=[text for *_, text in WRONG])
def test_a_wrong_request_is_told_what_is_wrong(
    channel: grpc.Channel, wrong: dict[str, Any], code: grpc.StatusCode, text: str
) -> None:
    got, told = refused(channel, predict_request(**{"tensor": PIXELS} | wrong))
    assert got == code
    assert text in told


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda tensor: tensor.tensor_shape.dim[0].__setattr__("size", -1), "-1 rows, expected 1 to 64"),
        (lambda tensor: tensor.__setattr__("tensor_content", b"xyz"), "has 3 bytes of tensor_content"),
        (lambda tensor: tensor.ClearField("tensor_content"), "has 0 int_val"),
        (lambda tensor: (tensor.ClearField("tensor_content"), tensor.int_val.append(256)), "expected 0 to 255"),
    ],
)
def test_a_tensor_that_is_not_as_it_says_is_refused(channel: grpc.Channel, change: Any, text: str) -> None:
    request = predict_request(PIXELS)
    change(request.inputs["input"])
    code, told = refused(channel, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text in told
