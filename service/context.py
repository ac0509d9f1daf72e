"""What the calls of every protocol are given: the parts of the running service, in one object. Knows no call."""

from dataclasses import dataclass

from fastapi import Request

from service.explain.explained_models import ExplainedModels
from service.http.bodies import BodyLimits
from service.prediction import Prediction
from service.settings import ServiceSettings


@dataclass(frozen=True)
class Context:
    """Made once, when the application starts."""

    settings: ServiceSettings
    prediction: Prediction
    explained: ExplainedModels
    bodies: BodyLimits


def context_of(request: Request) -> Context:
    """That of the application which the request came to."""
    context: Context = request.app.state.context
    return context
