"""What is in an image: one at a time, or many in one request."""

from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic_core import to_json

from models.card import ModelCard
from models.image_errors import ImageError
from models.preprocessing import png_data_url
from service.api.bodies import read_image, read_images
from service.api.dependencies import HowPrepared, WhichModel, model_name
from service.api.examples import ANSWER, BATCH_ANSWER
from service.api.openapi import FILES_BODY, IMAGE_BODY, answers, problems
from service.api.schemas import Answer, BatchAnswer
from service.context import context_of
from service.errors import NoFiniteAnswer
from service.http.bodies import SMALL_ANSWER_VALUES, until_disconnected
from service.http.problems import problem_of
from service.http.queries import known_parameters_only
from service.inference.ranking import prediction_of
from service.prediction import Predicted

TopK = Annotated[int, Query(ge=1, le=1000, description="how many of the most probable classes to list")]
ReturnInput = Annotated[
    bool, Query(description="answer with what the model saw, too: `input`, a PNG of its size in a data URL")
]


# Asked so often that these have a way around FastAPI: see `service.http.fast_path`.
router = APIRouter(tags=["predict"], dependencies=[Depends(known_parameters_only)])


@router.post(
    "/predict",
    summary="Say what is in one image",
    response_description="The most probable class, and which model says so",
    response_model=Answer,
    responses={**answers(ANSWER), **problems(400, 404, 408, 413, 415, 422, 503, 504)},
    openapi_extra=IMAGE_BODY,
)
async def predict(
    request: Request,
    top_k: TopK = 10,
    preparation: HowPrepared = "auto",
    return_input: ReturnInput = False,
    model: WhichModel = None,
) -> Response:
    """Send an image as the multipart field `file`, as the raw body, or as base64 in JSON.

    PNG, JPEG, GIF, BMP, WebP, AVIF, HEIC and TIFF of any colour are read: turned upright, flattened onto white, and
    prepared as the model's card says. `product-photo` finds the product in front of its background, be it light or
    dark, and makes of it what the model was trained on. An image that already is of that kind goes through as it is.
    """
    context = context_of(request)
    context.prediction.find(model)
    content = await read_image(request)
    runner = context.prediction.current(model)
    left = partial(until_disconnected, request)
    (predicted,) = await context.prediction.predict(runner, [content], left, preparation=preparation)
    answer = {**prediction_of(predicted.scores, runner.card, top_k), "model": model_name(runner)}
    if return_input:
        answer["input"] = png_data_url(np.asarray(predicted.image, np.uint8))
    return _json(answer)


@router.post(
    "/predict/batch",
    summary="Say what is in each of several images",
    response_description="One result or one problem for each file, in order",
    response_model=BatchAnswer,
    responses={
        **answers(BATCH_ANSWER),
        **problems(
            404,
            408,
            413,
            503,
            504,
            details={
                400: "the form has 65 files, in the fields 'files', 'files', …; expected at most 64",
                415: "the body is one image, as /predict takes it; send the images as multipart fields 'files'",
            },
        ),
    },
    openapi_extra=FILES_BODY,
)
async def predict_batch(
    request: Request, top_k: TopK = 10, preparation: HowPrepared = "auto", model: WhichModel = None
) -> Response:
    """Send several images as multipart fields `files`, or as base64 in JSON; the model looks at all of them at once.

    A file that cannot be read gets a problem in its place, with the status that `/predict` would have answered; the
    others are answered all the same.
    """
    context = context_of(request)
    context.prediction.find(model)
    files = await read_images(request)
    runner = context.prediction.current(model)
    left = partial(until_disconnected, request)
    images = [file.content for file in files]
    answers = await context.prediction.predict_each(runner, images, left, preparation=preparation)

    def write() -> Response:
        results = []
        for file, found in zip(files, answers, strict=True):
            if isinstance(found, ImageError):
                results.append({"file": file.name, "problem": problem_of(found)})
            else:
                results.append({"file": file.name, **_result_of(found, runner.card, top_k)})
        return _json({"model": model_name(runner), "results": results})

    if len(files) * len(runner.card.class_names) > SMALL_ANSWER_VALUES:
        return await context.prediction.on_a_thread(write, runner.deadline())
    return write()


def _result_of(found: Predicted, card: ModelCard, top_k: int) -> dict[str, Any]:
    try:
        return {"prediction": prediction_of(found.scores, card, top_k)}
    except NoFiniteAnswer as error:
        return {"problem": problem_of(error)}


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content, inf_nan_mode="null"), media_type="application/json")
