"""TensorFlow Serving's gRPC API on the models that are served, for its clients."""

from typing import Any

from google.protobuf.json_format import ParseDict

from models.image_errors import ImageError
from service.context import Context
from service.errors import MalformedRequest
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES
from service.inference.model_runner import ModelRunner
from service.protocols.grpc.calls import Call, Method, Stream, methods_of
from service.protocols.grpc.messages import tensorflow_serving_pb2 as pb
from service.protocols.grpc.tensors import images_in, tensor_of
from service.protocols.tfserving.models import OUTPUT_NAME, asked_for, metadata, model_named, status, version_number
from service.protocols.tfserving.rows import INPUT_NAME, SIGNATURE_NAME, check_signature

PREDICTION = pb.DESCRIPTOR.services_by_name["PredictionService"]
MODEL = pb.DESCRIPTOR.services_by_name["ModelService"]
_SIGNATURES = "signature_def"


class TensorFlowServing:
    """What answers each of the protocol's methods."""

    def __init__(self, context: Context) -> None:
        self._prediction = context.prediction
        self._repository = context.prediction.repository
        self._most_rows = context.settings.max_images_per_request

    def methods(self) -> dict[str, Method | Stream]:
        """Its methods, by path."""
        return {
            **methods_of(PREDICTION, {"Predict": self.predict, "GetModelMetadata": self.model_metadata}),
            **methods_of(MODEL, {"GetModelStatus": self.model_status}),
        }

    async def predict(self, request: pb.PredictRequest, call: Call) -> pb.PredictResponse:
        """The model's output for each row."""
        runner = self._runner(request.model_spec)
        check_signature(request.model_spec.signature_name)
        if [*request.inputs] != [INPUT_NAME]:
            names = ", ".join(map(repr, request.inputs)) or "nothing"
            raise MalformedRequest(f"'inputs' has {names:.200}; the model has one input, {INPUT_NAME!r}")
        for output in request.output_filter:
            if output != OUTPUT_NAME:
                raise MalformedRequest(f"there is no output {output!r:.80}; there is {OUTPUT_NAME!r}")
        runner.ensure_capacity()
        deadline = call.deadline(runner)

        def read() -> Any:
            return images_in(request.inputs[INPUT_NAME], f"inputs[{INPUT_NAME!r}]", runner.card.input, self._most_rows)

        large = call.size > SMALL_BODY_BYTES
        images = await self._prediction.on_a_thread(read, deadline) if large else read()
        try:
            predicted = await self._prediction.predict(runner, images, call.left, deadline=deadline)
        except ImageError as error:
            raise type(error)(f"inputs[{error.position}]: {error}") from error

        def write() -> pb.PredictResponse:
            outputs = [one.scores.outputs for one in predicted]
            return pb.PredictResponse(
                model_spec=_spec(runner, SIGNATURE_NAME), outputs={OUTPUT_NAME: tensor_of(outputs)}
            )

        large = len(predicted) * len(runner.card.class_names) > SMALL_ANSWER_VALUES
        return await self._prediction.on_a_thread(write, deadline) if large else write()

    async def model_metadata(self, request: pb.GetModelMetadataRequest, _: Call) -> pb.GetModelMetadataResponse:
        """Names, types and shapes of the model's input and output."""
        if [*request.metadata_field] != [_SIGNATURES]:
            raise MalformedRequest(f"metadata_field is {[*request.metadata_field]!r:.80}, expected {[_SIGNATURES]}")
        runner = self._runner(request.model_spec)
        response = pb.GetModelMetadataResponse(model_spec=_spec(runner))
        signatures = ParseDict(metadata(runner)["metadata"][_SIGNATURES], pb.SignatureDefMap())
        response.metadata[_SIGNATURES].Pack(signatures)
        return response

    async def model_status(self, request: pb.GetModelStatusRequest, _: Call) -> pb.GetModelStatusResponse:
        """The state of the version that is asked for, or of all that are loaded."""
        spec = request.model_spec
        is_one = spec.HasField("version") or spec.version_label
        runners = (self._runner(spec),) if is_one else model_named(self._repository, spec.name).loaded
        return ParseDict(status(runners), pb.GetModelStatusResponse())

    def _runner(self, spec: pb.ModelSpec) -> ModelRunner:
        version = str(spec.version.value) if spec.HasField("version") else None
        return asked_for(model_named(self._repository, spec.name), version, spec.version_label or None)


def _spec(runner: ModelRunner, signature: str = "") -> pb.ModelSpec:
    version = {"value": int(version_number(runner))}
    return pb.ModelSpec(name=runner.card.name, version=version, signature_name=signature)
