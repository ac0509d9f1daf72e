"""What the model saw and how it came to its answer: kernels, feature maps, attribution, arithmetic."""

import io
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic_core import to_json

from models.preprocessing import ModelInput, PreparationChoice, PreparedImage, scaled
from service.api.bodies import read_image
from service.api.dependencies import (
    Accept,
    Explained,
    HowPrepared,
    Runner,
    WhichModel,
    model_name,
    unless_disconnected,
)
from service.api.examples import ATTRIBUTION, FEATURE_MAPS, KERNELS, TRACE
from service.api.openapi import ARRAY_TYPE, IMAGE_BODY, answers, problems
from service.api.schemas import AttributionAnswer, FeatureMaps, KernelsAnswer, Trace
from service.api.words import AnswerFormat, AttributionMethod, ColourScale, MapFormat, MapOrder
from service.context import context_of
from service.errors import MalformedRequest, NotInModel
from service.explain.explainer import Explainer
from service.explain.numbers import rounded
from service.explain.results import ConvolutionTrace
from service.http.negotiation import choose_media_type
from service.http.queries import known_parameters_only
from service.inference.model_runner import ModelRunner

router = APIRouter(tags=["explain"], dependencies=[Depends(known_parameters_only)])

_FORMS: dict[str, AnswerFormat] = {"image/png": "png", "image/svg+xml": "svg", "application/json": "json"}
_MEDIA_TYPES = {form: media_type for media_type, form in _FORMS.items()}
_IMAGES = ("image/png", "image/svg+xml")
# Some 20 MB of text.
MOST_VALUES = 2_000_000

Format = Annotated[
    AnswerFormat | None,
    Query(alias="format", description="png, svg or json; without it what the Accept header prefers"),
]
Layer = Annotated[str | None, Query(description="the layer's name in `/model-summary`; without it the first that fits")]

_NO_LAYER = "layer: 'conv9' has no kernels to show or is not in this model; it has conv2d, conv2d_1"
_POST_PROBLEMS = problems(400, 404, 408, 413, 415, 503, 504, details={422: _NO_LAYER})


@router.get(
    "/plot/kernels",
    summary="Draw a convolution's kernels",
    response_model=KernelsAnswer,
    responses={**answers(KERNELS, images=_IMAGES), **problems(400, 404, 503, 504, details={422: _NO_LAYER})},
)
async def plot_kernels(
    request: Request,
    runner: Runner,
    explained: Explained,
    layer: Layer = None,
    channel: Annotated[int | None, Query(ge=0, description="show one input channel only; 0 is the first")] = None,
    scale: Annotated[
        ColourScale, Query(description="`symmetric`: colours up to the largest weight; `fixed`: grey, -0.5 to 0.5")
    ] = "symmetric",
    form: Format = None,
    accept: Accept = "*/*",
) -> Response:
    """The weights that the model looks at images with, their histogram, mean and standard deviation."""
    form = form or _preferred(accept)
    explainer = explained.explainer
    if form != "json":
        drawing = explainer.draw_kernels(layer, channel, scale, form)
        return _image(runner, form, await unless_disconnected(request, drawing))
    kernels = await unless_disconnected(request, explainer.kernels(layer, channel))
    return _json(
        runner,
        layer=kernels.layer,
        channel=kernels.channel,
        kernels=rounded(kernels.weights),
        biases=None if kernels.biases is None else rounded(kernels.biases),
        mean=kernels.mean,
        standard_deviation=kernels.standard_deviation,
        histogram={"edges": rounded(kernels.edges), "counts": kernels.counts.tolist()},
    )


@router.post(
    "/plot/feature-maps",
    summary="Draw what the layers make of an image",
    response_model=FeatureMaps,
    responses={**answers(FEATURE_MAPS, images=_IMAGES, arrays=True), **_POST_PROBLEMS},
    openapi_extra=IMAGE_BODY,
)
async def plot_feature_maps(
    request: Request,
    layer: Annotated[
        str | None,
        Query(description="the layer's name in `/model-summary`; without it every layer that makes something"),
    ] = None,
    order: Annotated[
        MapOrder,
        Query(description="draw the maps in the model's order, or the strongest first"),
    ] = "model",
    preparation: HowPrepared = "auto",
    model: WhichModel = None,
    form: Annotated[
        MapFormat | None,
        Query(
            alias="format",
            description="png, svg or json; npy for the float32 numbers of one layer as NumPy writes them; without it "
            "what the Accept header prefers",
        ),
    ] = None,
    accept: Accept = "*/*",
) -> Response:
    """The maps of each convolution and pooling, and the values of each dense layer, for the image that is sent.

    As JSON, and as .npy, which is about half as long, the numbers are those that Keras itself has between its layers.
    """
    form = form or _preferred(accept)
    if form == "npy" and layer is None:
        raise MalformedRequest("layer: format=npy is for one layer, and none is named; name one of /model-summary")
    runner, explainer, _, image = await _prepared(request, preparation, model)
    if form == "npy":
        content = io.BytesIO()
        np.save(content, await unless_disconnected(request, explainer.layer_output(image, str(layer), MOST_VALUES)))
        return Response(content.getvalue(), media_type=ARRAY_TYPE, headers=_headers(runner))
    if form != "json":
        drawing = explainer.draw_feature_maps(image, layer, order == "strongest", form)
        return _image(runner, form, await unless_disconnected(request, drawing))
    layers = await unless_disconnected(request, explainer.feature_maps(image, layer, MOST_VALUES))
    answer = b'{"model":%b,"layers":%b}' % (to_json(model_name(runner)), layers)
    return Response(answer, media_type="application/json", headers=_headers(runner))


@router.post(
    "/plot/attribution",
    summary="Draw what an answer rests on",
    response_model=AttributionAnswer,
    responses={
        **answers(ATTRIBUTION, images=_IMAGES),
        **problems(
            400,
            404,
            408,
            413,
            415,
            503,
            504,
            details={422: "class: 'Hat' is none of the classes, which are T-shirt/top, Trouser"},
        ),
    },
    openapi_extra=IMAGE_BODY,
)
async def plot_attribution(
    request: Request,
    method: Annotated[
        AttributionMethod, Query(description="how it is found out; the papers are named in docs/explain.md")
    ] = "grad-cam",
    wanted: Annotated[
        str | None, Query(alias="class", description="the class to explain, by name or number; without it the answer")
    ] = None,
    preparation: HowPrepared = "auto",
    model: WhichModel = None,
    form: Format = None,
    accept: Accept = "*/*",
) -> Response:
    """How much each pixel speaks for a class, over the image that was sent and over what the model saw of it.

    Red speaks for the class, blue against it. `grad-cam` and `grad-cam++` show where the last convolution found what
    speaks for it; `saliency` and `smoothgrad` which pixels would change the score most; `integrated-gradients` shares
    out the difference to a black image among the pixels; `occlusion` covers a part at a time and looks what is lost.
    """
    form = form or _preferred(accept)
    runner, explainer, prepared, image = await _prepared(request, preparation, model)
    names = runner.card.class_names
    index = _class_index(wanted, names)
    if form != "json":
        drawing = explainer.draw_attribution(prepared, image, method, index, form)
        return _image(runner, form, await unless_disconnected(request, drawing))
    found = await unless_disconnected(request, explainer.attribution(image, method, index))
    return _json(
        runner,
        method=method,
        label=names[found.class_index],
        index=found.class_index,
        probability=min(1.0, found.probability),
        score=found.score,
        baseline_score=found.baseline_score,
        values=rounded(found.values, 8),
        frame=prepared.frame._asdict(),
    )


@router.post(
    "/trace",
    summary="Show the arithmetic of one value",
    response_model=Trace,
    responses={**answers(TRACE), **_POST_PROBLEMS},
    openapi_extra=IMAGE_BODY,
)
async def trace_value(
    request: Request,
    layer: Layer = None,
    channel: Annotated[int, Query(alias="filter", ge=0, description="the map; 0 is the first")] = 0,
    row: Annotated[int, Query(ge=0, description="0 is the top")] = 0,
    column: Annotated[int, Query(ge=0, description="0 is the left")] = 0,
    preparation: HowPrepared = "auto",
    model: WhichModel = None,
) -> Response:
    """How one value of one feature map comes about: what was read, times the kernel, plus the bias; or what was chosen.

    For a convolution or a pooling, by name; without one for the first.
    """
    runner, explainer, _, image = await _prepared(request, preparation, model)
    traced = await unless_disconnected(request, explainer.trace(image, layer, channel, row, column))
    window = {
        "rows": traced.window.rows,
        "columns": traced.window.columns,
        "inside": traced.window.inside.tolist(),
        "values": rounded(traced.window.values),
    }
    place = {"layer": traced.layer, "filter": channel, "row": row, "column": column, "window": window}
    if isinstance(traced, ConvolutionTrace):
        return _json(
            runner,
            **place,
            kind="convolution",
            kernel=rounded(traced.kernel),
            products=rounded(traced.products),
            bias=traced.bias,
            total=traced.total,
            activation=traced.activation,
            value=traced.value,
        )
    return _json(runner, **place, kind=traced.kind, chosen=traced.chosen, value=traced.value)


async def _prepared(
    request: Request, preparation: PreparationChoice, model: str | None
) -> tuple[ModelRunner, Explainer, PreparedImage, ModelInput]:
    """The model that answers, what explains it, the image in the request as a person sees it, and as the model does."""
    context = context_of(request)
    context.prediction.find(model)
    content = await read_image(request)
    runner = context.prediction.current(model)
    prepared = await context.prediction.prepare(runner, content, preparation)
    return runner, context.explained.of(runner).explainer, prepared, scaled(prepared.pixels, runner.card.input)


def _class_index(wanted: str | None, names: tuple[str, ...]) -> int | None:
    if wanted is None:
        return None
    same = [index for index, name in enumerate(names) if name.lower() == wanted.lower()]
    if same:  # of two that differ in case alone, the one that is written so
        return max(same, key=lambda index: names[index] == wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise NotInModel(f"class: {wanted!r:.80} is none of the classes, which are {listed}, or 0 to {len(names) - 1}")


def _preferred(accept: str) -> AnswerFormat:
    return _FORMS[choose_media_type(accept, tuple(_FORMS))]


def _image(runner: ModelRunner, form: AnswerFormat, content: bytes) -> Response:
    return Response(content, media_type=_MEDIA_TYPES[form], headers=_headers(runner))


def _json(runner: ModelRunner, **content: Any) -> Response:
    found = to_json({"model": model_name(runner), **content})
    return Response(found, media_type="application/json", headers=_headers(runner))


def _headers(runner: ModelRunner) -> dict[str, str]:
    return {"Vary": "Accept", "Model-Version": runner.version}
