"""The few words that a parameter takes, each set with the name by which clients that are generated know it."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field
from typing_extensions import TypeAliasType

from models.plot_format import PlotFormat
from models.preprocessing import PreparationChoice
from service.explain.results import KernelScale, Method

# Generators would make the same name of grad-cam and grad-cam++.
_METHOD_NAMES: dict[str, Any] = {
    "x-enum-varnames": [method.upper().replace("+", "_PLUS").replace("-", "_") for method in get_args(Method)]
}

Preparation = TypeAliasType("Preparation", PreparationChoice)
ImageFormat = TypeAliasType("ImageFormat", PlotFormat)
AnswerFormat = TypeAliasType("AnswerFormat", Literal["png", "svg", "json"])
MapFormat = TypeAliasType("MapFormat", Literal["png", "svg", "json", "npy"])
PlotStyle = TypeAliasType("PlotStyle", Literal["graph", "blocks"])
ColourScale = TypeAliasType("ColourScale", KernelScale)
MapOrder = TypeAliasType("MapOrder", Literal["model", "strongest"])
AttributionMethod = TypeAliasType("AttributionMethod", Annotated[Method, Field(json_schema_extra=_METHOD_NAMES)])
