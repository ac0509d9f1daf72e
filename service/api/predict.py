"""What is in an image: one at a time, or many in one request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from models.preprocessing import ImageError, Pixels, png_data_url
from service.api.dependencies import HowPrepared, WhichModel, live_model, model_name
from service.api.examples import ANSWER, BATCH_ANSWER
from service.api.openapi import FILES_BODY, IMAGE_BODY, answers, problems
from service.api.schemas import Answer, BatchAnswer
from service.errors import MalformedRequest, problem_of
from service.http.bodies import read_files, read_image
from service.inference.model_runner import ImageScores, ModelRunner

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; nginx's number for the same

TopK = Annotated[int, Query(ge=1, le=1000, description="how many of the most probable classes to list")]
ReturnInput = Annotated[
    bool, Query(description="answer with what the model saw, too: `input`, a PNG of its size in a data URL")
]


router = APIRouter(tags=["predict"])


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
    """Send an image as the multipart field `file`, or as the raw body with an image content type.

    PNG, JPEG, GIF, BMP, WebP and AVIF of any size and colour are read: turned upright, flattened onto white, and
    prepared as the model's card says. `product-photo` finds the product in front of its background, be it light or
    dark, and makes of it what the model was trained on. An image that already is of that kind goes through as it is.
    """
    state = request.app.state
    live_model(request, model).ensure_capacity()
    content = await read_image(request, state.bodies)
    # Only now: while a slow caller sent the image, another version may have taken over.
    live = live_model(request, model)
    deadline = live.deadline()
    image = await state.decoder.pixels(content, live.card.input, deadline, preparation)
    rows = await unless_gone(request, live, live.predict([image], deadline))
    if not rows:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    answer = {**_prediction(rows[0], live.card.class_names, top_k), "model": model_name(live)}
    if return_input:
        answer["input"] = png_data_url(image)
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
                400: "the form has no file in a field 'files'; its fields: 'file'",
                415: "the body is not multipart/form-data; send the images as multipart fields 'files'",
            },
        ),
    },
    openapi_extra=FILES_BODY,
)
async def predict_batch(
    request: Request, top_k: TopK = 10, preparation: HowPrepared = "auto", model: WhichModel = None
) -> Response:
    """Send several images as multipart fields `files`; the model looks at all of them at once.

    A file that cannot be read gets a problem in its place, with the status that `/predict` would have answered; the
    others are answered all the same.
    """
    state = request.app.state
    live_model(request, model).ensure_capacity()
    files = await read_files(request, state.settings.max_images_per_request, state.bodies)
    live = live_model(request, model)
    live.ensure_capacity(len(files))
    deadline = live.deadline()
    images: list[Pixels] = []
    results: list[dict[str, Any]] = []
    for file in files:
        result: dict[str, Any] = {"file": file.name}
        try:
            images.append(await state.decoder.pixels(file.content, live.card.input, deadline, preparation))
        except (ImageError, MalformedRequest) as error:
            result["problem"] = problem_of(error)
        results.append(result)
    if images:
        rows = await unless_gone(request, live, live.predict(images, deadline))
        if not rows:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        answered = (result for result in results if "problem" not in result)
        for result, row in zip(answered, rows, strict=True):
            result["prediction"] = _prediction(row, live.card.class_names, top_k)
    return _json({"model": model_name(live), "results": results})


ENDPOINTS: dict[str, Callable[[Request], Awaitable[Response]]] = {"/predict": predict, "/predict/batch": predict_batch}


async def unless_gone(
    request: Request, live: ModelRunner, answer: asyncio.Future[list[ImageScores]]
) -> list[ImageScores]:
    """The answer, or nothing where the caller left before the model came to its images.

    To watch for that takes a task for each request; it pays only where many wait.
    """
    if not live.backed_up:
        return await answer
    watch = asyncio.create_task(_cancel_when_gone(request, answer))
    try:
        return await answer
    except asyncio.CancelledError:
        if watch.done():
            return []
        raise
    finally:
        watch.cancel()


async def _cancel_when_gone(request: Request, answer: asyncio.Future[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    answer.cancel()


def _prediction(answer: ImageScores, class_names: tuple[str, ...], top_k: int) -> dict[str, Any]:
    """The shape of `Prediction`, without the cost of making one."""
    row = answer.probabilities
    order = sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top_k]
    classes = [{"label": class_names[index], "index": index, "probability": min(1.0, row[index])} for index in order]
    return {**classes[0], "familiarity": answer.familiarity, "probabilities": classes}


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
