"""How the model is built, and what its file says of itself."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from service.api.dependencies import Accept, Explained, Runner, unless_disconnected
from service.api.examples import MODEL_CARD, MODEL_SUMMARY, SUMMARY_TABLE
from service.api.openapi import answers, problems
from service.api.schemas import Found, ModelCardAnswer
from service.engines.model_summary import ModelSummary
from service.http.negotiation import choose_media_type
from service.http.queries import known_parameters_only

router = APIRouter(tags=["model"], dependencies=[Depends(known_parameters_only)])

_UNKNOWN_PARAMETER = {400: "unknown query parameter 'modle'; did you mean 'model'?"}


@router.get(
    "/model-summary",
    summary="List the model's layers",
    response_description="Layers, shapes and parameters; with `Accept: text/plain`, Keras's own table",
    response_model=ModelSummary,
    responses={**answers(MODEL_SUMMARY, SUMMARY_TABLE), **problems(404, 503, 504, details=_UNKNOWN_PARAMETER)},
)
async def model_summary(request: Request, explained: Explained, accept: Accept = "*/*") -> ModelSummary | Response:
    """Each layer with its class, output shape, parameters, kernel, strides, padding and activation, and the totals.

    Ask with `Accept: text/plain` for the table that `model.summary()` prints.
    """
    if choose_media_type(accept, ("application/json", "text/plain")) == "text/plain":
        return PlainTextResponse(await unless_disconnected(request, explained.explainer.summary_table()))
    return explained.summary


@router.get(
    "/model-card",
    summary="Show what the model file says of itself",
    response_description="The card",
    responses={**answers(MODEL_CARD), **problems(404, details=_UNKNOWN_PARAMETER)},
)
async def model_card(runner: Runner) -> ModelCardAnswer:
    """Class names, the input that the model takes, the data and the recipe it was fitted with, and how good it is.

    `sources` says where what is needed to answer comes from: an option, the file, a file beside it, or a guess. A file
    that Keras saved without a card has null for data, training and evaluation.
    """
    sources = [Found(**finding._asdict()) for finding in runner.engine.findings]
    return ModelCardAnswer(**dict(runner.card), sources=tuple(sources))
