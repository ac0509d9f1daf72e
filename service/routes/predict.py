"""What is in a picture: one at a time, or many in one request."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from models.picture import NetworkInput, PictureError
from service.errors import MalformedRequest, problem_of
from service.inference.decoder import Decoder
from service.inference.live_model import LiveModel
from service.routes.dependencies import Live, PictureDecoder, Settings
from service.routes.documentation import FILES_BODY, PICTURE_BODY, problems
from service.routes.upload import read_files, read_picture
from service.schemas import (
    Answer,
    BatchAnswer,
    BatchPrediction,
    BatchProblem,
    ClassProbability,
    ModelName,
    Prediction,
    Problem,
)

router = APIRouter(tags=["predict"])

TopK = Annotated[int, Query(ge=1, le=1000, description="how many of the most probable classes to list")]


@router.post(
    "/predict",
    summary="Say what is in one picture",
    response_description="The most probable class, and which model says so",
    responses=problems(400, 413, 415, 422, 503),
    openapi_extra=PICTURE_BODY,
)
async def predict(
    request: Request, live: Live, settings: Settings, decoder: PictureDecoder, top_k: TopK = 10
) -> Answer:
    """Send a picture as the multipart field `file`, or as the raw body with an image content type.

    PNG, JPEG, GIF, BMP and WebP of any size and colour are read: turned upright, flattened onto white, and fitted to
    the network's size and channels. A picture that has the network's own size and colours goes through as it is.
    """
    content = await read_picture(request, settings.max_body_bytes)
    pixels = await _network_input(content, live, decoder)
    (row,) = await live.predict(pixels[np.newaxis])
    best = _prediction(row.tolist(), live.card.class_names, top_k)
    return Answer(**dict(best), model=_model_name(live))


@router.post(
    "/predict/batch",
    summary="Say what is in each of several pictures",
    response_description="One result or one problem for each file, in order",
    responses=problems(400, 413, 415, 503),
    openapi_extra=FILES_BODY,
)
async def predict_batch(
    request: Request, live: Live, settings: Settings, decoder: PictureDecoder, top_k: TopK = 10
) -> BatchAnswer:
    """Send several pictures as multipart fields `files`; the network looks at all of them at once.

    A file that cannot be read gets a problem in its place, with the status that `/predict` would have answered; the
    others are answered all the same.
    """
    files = await read_files(request, settings.max_batch_pictures, settings.max_body_bytes)
    inputs: list[NetworkInput] = []
    problems_by_index: dict[int, Problem] = {}
    for index, file in enumerate(files):
        try:
            inputs.append(await _network_input(file.content, live, decoder))
        except (PictureError, MalformedRequest) as error:
            problems_by_index[index] = problem_of(error)
    rows = iter((await live.predict(np.stack(inputs))).tolist() if inputs else ())
    names = live.card.class_names
    results = tuple(
        BatchProblem(file=file.name, problem=problems_by_index[index])
        if index in problems_by_index
        else BatchPrediction(file=file.name, prediction=_prediction(next(rows), names, top_k))
        for index, file in enumerate(files)
    )
    return BatchAnswer(model=_model_name(live), results=results)


async def _network_input(content: bytes, live: LiveModel, decoder: Decoder) -> NetworkInput:
    if not content:
        raise MalformedRequest("the picture is empty: 0 bytes arrived")
    return await decoder.network_input(content, live.card.input)


def _prediction(row: list[float], class_names: tuple[str, ...], top_k: int) -> Prediction:
    order = sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top_k]
    classes = tuple(
        ClassProbability(label=class_names[index], index=index, probability=min(1.0, row[index])) for index in order
    )
    return Prediction(**dict(classes[0]), probabilities=classes)


def _model_name(live: LiveModel) -> ModelName:
    return ModelName(name=live.card.name, version=live.version)
