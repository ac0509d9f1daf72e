"""The messages are those of protos/, on the wire those of others, and beside TensorFlow's in one process."""

import subprocess
import sys
from pathlib import Path

import tritonclient.grpc.service_pb2 as triton
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from service.protocols.grpc.messages import open_inference_pb2, tensorflow_serving_pb2, tensorflow_tensor_pb2
from tests.samples import ROOT

MESSAGES = ROOT / "service" / "protocols" / "grpc" / "messages"
_BOTH_IN_ONE = """
import tensorflow, tritonclient.grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow.core.framework import tensor_pb2
from service.protocols.grpc.messages import tensorflow_tensor_pb2, open_inference_pb2
ours = tensorflow_tensor_pb2.TensorProto(dtype="DT_STRING", string_val=[b"a"])
theirs = tensor_pb2.TensorProto.FromString(ours.SerializeToString())
assert theirs.string_val[0] == b"a" and type(theirs) is not type(ours)
"""


def test_the_generated_files_are_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "protos" / "generate.py", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in MESSAGES.glob("*_pb2.*")}


def test_they_live_beside_tensorflows_and_tritons_in_one_process() -> None:
    done = subprocess.run([sys.executable, "-c", _BOTH_IN_ONE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_grpc_is_served_without_tensorflow() -> None:
    code = "import sys, service.protocols.grpc.server; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_each_message_of_the_open_inference_protocol_is_tritons() -> None:
    for name, ours in open_inference_pb2.DESCRIPTOR.message_types_by_name.items():
        if hasattr(triton, name):
            _assert_part_of(ours, getattr(triton, name).DESCRIPTOR)
    service = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    theirs = triton.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in service.methods:
        assert method.input_type.full_name == theirs[method.name].input_type.full_name
        assert method.output_type.full_name == theirs[method.name].output_type.full_name


def test_each_message_of_tensorflow_serving_is_its_own() -> None:
    from tensorflow.core.framework import tensor_pb2  # noqa: PLC0415 - seconds
    from tensorflow.core.protobuf import meta_graph_pb2  # noqa: PLC0415
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2  # noqa: PLC0415

    for ours, theirs in [
        (tensorflow_serving_pb2.PredictRequest, predict_pb2.PredictRequest),
        (tensorflow_serving_pb2.PredictResponse, predict_pb2.PredictResponse),
        (tensorflow_serving_pb2.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
        (tensorflow_serving_pb2.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
        (tensorflow_serving_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
        (tensorflow_serving_pb2.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
        (tensorflow_tensor_pb2.TensorProto, tensor_pb2.TensorProto),
        (tensorflow_tensor_pb2.SignatureDef, meta_graph_pb2.SignatureDef),
    ]:
        _assert_part_of(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def _assert_part_of(ours: Descriptor, theirs: Descriptor) -> None:
    """Each field, however deep, has the name, number, type and oneof that it has in `theirs`."""
    assert ours.full_name == theirs.full_name
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert _described(field) == _described(other)
        if field.message_type:
            _assert_part_of(field.message_type, other.message_type)
        if field.enum_type:
            numbers = {value.name: value.number for value in field.enum_type.values}
            assert numbers.items() <= {value.name: value.number for value in other.enum_type.values}.items()


def _described(field: FieldDescriptor) -> tuple[object, ...]:
    oneof = field.containing_oneof
    return field.name, field.number, field.type, field.is_repeated, oneof and oneof.name
