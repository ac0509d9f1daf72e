"""Embeddings: an image as the values that the model's last dense layer makes its answer of."""

from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic_core import to_json

from models.image_errors import ImageError
from service.api.bodies import read_one_or_more
from service.api.dependencies import HowPrepared, WhichModel, model_name
from service.api.examples import EMBEDDING_ANSWER
from service.api.openapi import IMAGES_BODY, answers, problems
from service.api.schemas import EmbeddingAnswer
from service.context import context_of
from service.engines.base import Floats
from service.errors import MalformedRequest, NotInModel
from service.http.bodies import SMALL_ANSWER_VALUES, until_disconnected
from service.http.problems import problem_of
from service.http.queries import known_parameters_only
from service.inference.model_runner import ModelRunner
from service.prediction import Predicted

router = APIRouter(tags=["embed"], dependencies=[Depends(known_parameters_only)])

# Some 40 MB of text.
MOST_VALUES = 2_000_000

_NO_EMBEDDINGS = (
    "this model has no embeddings: no dense layer ends it, whose input they would be; serve one that ends in Dense"
)


@router.post(
    "/embed",
    summary="Give the embedding of one or several images",
    response_description="One embedding or one problem for each image, in order",
    response_model=EmbeddingAnswer,
    responses={
        **answers(EMBEDDING_ANSWER),
        **problems(400, 404, 408, 413, 415, 503, 504, details={422: _NO_EMBEDDINGS}),
    },
    openapi_extra=IMAGES_BODY,
)
async def embed(
    request: Request,
    normalize: Annotated[
        bool,
        Query(description="divide each by its length, so that a dot product is the cosine; zeros alone stay zeros"),
    ] = False,
    preparation: HowPrepared = "auto",
    model: WhichModel = None,
) -> Response:
    """Send one image or several: multipart fields `files` or `file`, the raw body, or base64 in JSON.

    An embedding is the input of the model's last dense layer; images that look alike to the model have embeddings that
    point in about the same direction. Keep `model.version` with each: those of two versions cannot be compared. Of
    several images, one that cannot be read gets a problem in its place.
    """
    context = context_of(request)
    _dimension(context.prediction.find(model))
    sent = await read_one_or_more(request)
    runner = context.prediction.current(model)
    dimension = _dimension(runner)
    _check_size(len(sent.files), dimension)
    left = partial(until_disconnected, request)
    images = [file.content for file in sent.files]
    found: list[Predicted] | list[Predicted | ImageError]
    if sent.listed:
        found = await context.prediction.predict_each(runner, images, left, preparation=preparation)
    else:
        found = await context.prediction.predict(runner, images, left, preparation=preparation)

    def write() -> Response:
        results = [{"file": file.name, **_result(one, normalize)} for file, one in zip(sent.files, found, strict=True)]
        answer = {"model": model_name(runner), "dimension": dimension, "normalized": normalize, "results": results}
        return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")

    if len(images) * dimension > SMALL_ANSWER_VALUES:
        return await context.prediction.on_a_thread(write, runner.deadline())
    return write()


def _dimension(runner: ModelRunner) -> int:
    if runner.embedding_dimension is None:
        raise NotInModel(_NO_EMBEDDINGS)
    return runner.embedding_dimension


def _check_size(images: int, dimension: int) -> None:
    if images * dimension > MOST_VALUES:
        raise MalformedRequest(
            f"the embeddings of {images} images have {images * dimension:,} values, and at most {MOST_VALUES:,} "
            "are sent as JSON; send fewer images at a time"
        )


def _result(found: Predicted | ImageError, normalize: bool) -> dict[str, Any]:
    if isinstance(found, ImageError):
        return {"problem": problem_of(found)}
    embedding = found.scores.embedding
    assert embedding is not None  # noqa: S101 - the model has a dimension
    return {"embedding": (normalized(embedding) if normalize else embedding).tolist()}


def normalized(embedding: Floats) -> Floats:
    """Of unit length, float32 (dimension,); as it is where it is all zeros."""
    exact = embedding.astype(np.float64)  # its square may be too large or too small for float32
    length = np.linalg.norm(exact)
    return embedding if length == 0 else (exact / length).astype(np.float32)
