"""Images of the model and of how it was trained, as PNG or SVG."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from models.card import Evaluation, Training
from models.plot_format import PlotFormat
from service.api.dependencies import Accept, Explained, Runner
from service.api.openapi import plot_answers, problems
from service.api.words import ImageFormat, PlotStyle
from service.errors import NotInCard
from service.explain.drawing.diagram import NO_GRAPHVIZ
from service.http.negotiation import choose_media_type
from service.http.queries import known_parameters_only

router = APIRouter(tags=["plots"], dependencies=[Depends(known_parameters_only)])

_MEDIA_TYPES: dict[PlotFormat, str] = {"png": "image/png", "svg": "image/svg+xml"}
_FORMATS: dict[str, PlotFormat] = {media_type: form for form, media_type in _MEDIA_TYPES.items()}

Format = Annotated[
    ImageFormat | None, Query(alias="format", description="png or svg; without it, what the Accept header prefers")
]
Style = Annotated[
    PlotStyle,
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
async def plot(explained: Explained, style: Style = "graph", form: Format = None, accept: Accept = "*/*") -> Response:
    """The architecture: as `keras.utils.plot_model(show_shapes=True)` draws it, or as textbooks do.

    `style=graph` needs Graphviz on the server; without it the answer is 503 and says so. `style=blocks` always works.
    """
    form = form or _preferred(accept)
    if style == "blocks":
        summary = explained.summary
        return _image(await explained.once((style, form), lambda: explained.draw("blocks", summary, form)), form)
    explainer = explained.explainer
    return _image(await explained.once((style, form), lambda: explainer.draw_diagram(form)), form)


@router.get(
    "/plot/history",
    summary="Draw the learning curves",
    response_class=Response,
    responses={**_ANSWER, **problems(503, 504, details={400: _NO_SUCH_FORMAT, 404: _NO_TRAINING})},
)
async def plot_history(runner: Runner, explained: Explained, form: Format = None, accept: Accept = "*/*") -> Response:
    """Loss and accuracy of training and validation over the epochs, with the epoch whose weights are served."""
    form = form or _preferred(accept)
    training = runner.card.training
    if training is None:
        raise NotInCard(_NO_TRAINING)
    drawing = await explained.once((Training, form), lambda: explained.draw("learning_curves", training, form))
    return _image(drawing, form)


@router.get(
    "/plot/confusion-matrix",
    summary="Draw the confusion matrix",
    response_class=Response,
    responses={**_ANSWER, **problems(503, 504, details={400: _NO_SUCH_FORMAT, 404: _NO_EVALUATION})},
)
async def plot_confusion_matrix(
    runner: Runner, explained: Explained, form: Format = None, accept: Accept = "*/*"
) -> Response:
    """Test images by true class and answer: what the model takes for what."""
    form = form or _preferred(accept)
    evaluation = runner.card.evaluation
    if evaluation is None:
        raise NotInCard(_NO_EVALUATION)
    names = runner.card.class_names
    drawing = await explained.once(
        (Evaluation, form), lambda: explained.draw("confusion_matrix", names, evaluation, form)
    )
    return _image(drawing, form)


def _preferred(accept: str) -> PlotFormat:
    return _FORMATS[choose_media_type(accept, tuple(_FORMATS))]


def _image(content: bytes, form: PlotFormat) -> Response:
    return Response(content, media_type=_MEDIA_TYPES[form], headers={"Vary": "Accept"})
