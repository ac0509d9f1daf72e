"""Images of the model and of how it was trained, as PNG or SVG."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from models.card import Evaluation, Training
from models.charts import PlotFormat, confusion_matrix, learning_curves
from service.api.dependencies import Accept, Live, PlotRenderer
from service.api.openapi import plot_answers, problems
from service.errors import NotInCard
from service.explain.drawing.blocks import draw_blocks
from service.explain.drawing.diagram import NO_GRAPHVIZ, diagram_source, draw_diagram
from service.explain.summary import summarize
from service.http.negotiation import choose_media_type

router = APIRouter(tags=["plots"])

_MEDIA_TYPES: dict[PlotFormat, str] = {"png": "image/png", "svg": "image/svg+xml"}
_FORMATS: dict[str, PlotFormat] = {media_type: form for form, media_type in _MEDIA_TYPES.items()}

Format = Annotated[
    PlotFormat | None, Query(alias="format", description="png or svg; without it, what the Accept header prefers")
]
Style = Annotated[
    Literal["graph", "blocks"],
    Query(description="`graph`: boxes and arrows, as Keras draws them; `blocks`: feature maps to scale"),
]

_ANSWER = plot_answers(*_FORMATS)
_NO_TRAINING = "the card of this model says nothing of how it was trained"
_NO_EVALUATION = "the card of this model says nothing of how it was tested"
_NO_SUCH_FORMAT = "format: Input should be 'png' or 'svg', got 'gif'"


@router.get(
    "/plot",
    summary="Draw the model",
    response_class=Response,
    responses={
        **_ANSWER,
        **problems(
            404,
            504,
            details={400: "style: Input should be 'graph' or 'blocks', got 'lego'", 503: NO_GRAPHVIZ},
        ),
    },
)
async def plot(
    live: Live, renderer: PlotRenderer, style: Style = "graph", form: Format = None, accept: Accept = "*/*"
) -> Response:
    """The architecture: as `keras.utils.plot_model(show_shapes=True)` draws it, or as textbooks do.

    `style=graph` needs Graphviz on the server; without it the answer is 503 and says so. `style=blocks` always works.
    """
    form = form or _preferred(accept)
    if style == "blocks":
        summary = await live.inspect(partial(summarize, name=live.card.name, version=live.version))
        draw = partial(draw_blocks, summary, form)
    else:
        draw = partial(draw_diagram, await live.inspect(diagram_source), form)
    return _image(await renderer.draw(draw, (live.version, style, form)), form)


@router.get(
    "/plot/history",
    summary="Draw the learning curves",
    response_class=Response,
    responses={**_ANSWER, **problems(details={400: _NO_SUCH_FORMAT, 404: _NO_TRAINING})},
)
async def plot_history(live: Live, renderer: PlotRenderer, form: Format = None, accept: Accept = "*/*") -> Response:
    """Loss and accuracy of training and validation over the epochs, with the epoch whose weights are served."""
    form = form or _preferred(accept)
    training = live.card.training
    if training is None:
        raise NotInCard(_NO_TRAINING)
    draw = partial(learning_curves, training, form)
    return _image(await renderer.draw(draw, (live.version, Training, form)), form)


@router.get(
    "/plot/confusion-matrix",
    summary="Draw the confusion matrix",
    response_class=Response,
    responses={**_ANSWER, **problems(details={400: _NO_SUCH_FORMAT, 404: _NO_EVALUATION})},
)
async def plot_confusion_matrix(
    live: Live, renderer: PlotRenderer, form: Format = None, accept: Accept = "*/*"
) -> Response:
    """Test images by true class and answer: what the model takes for what."""
    form = form or _preferred(accept)
    evaluation = live.card.evaluation
    if evaluation is None:
        raise NotInCard(_NO_EVALUATION)
    draw = partial(confusion_matrix, live.card.class_names, evaluation, form)
    return _image(await renderer.draw(draw, (live.version, Evaluation, form)), form)


def _preferred(accept: str) -> PlotFormat:
    return _FORMATS[choose_media_type(accept, tuple(_FORMATS))]


def _image(content: bytes, form: PlotFormat) -> Response:
    return Response(content, media_type=_MEDIA_TYPES[form], headers={"Vary": "Accept"})
