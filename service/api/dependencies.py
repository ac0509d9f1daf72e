"""What several calls are given, by short names: the model, its explanations, what clients choose."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Query, Request

from service.api.words import Preparation
from service.context import context_of
from service.explain.explained_models import ExplainedModel
from service.http.bodies import until_disconnected
from service.inference.model_runner import ModelRunner
from service.prediction import unless_disconnected as unless

Value = TypeVar("Value")

WhichModel = Annotated[
    str | None, Query(description="which model, where several are served; the default one if left out")
]


async def _runner(request: Request, model: WhichModel = None) -> ModelRunner:
    return context_of(request).prediction.repository.named(model).current


Runner = Annotated[ModelRunner, Depends(_runner)]


async def _explained(request: Request, runner: Runner) -> ExplainedModel:
    return context_of(request).explained.of(runner)


Explained = Annotated[ExplainedModel, Depends(_explained)]
Accept = Annotated[str, Header(include_in_schema=False)]
HowPrepared = Annotated[
    Preparation,
    Query(description="`auto`: as the model's card says; `none`: only scaled to the model's size and colours"),
]


async def unless_disconnected(request: Request, explanation: Coroutine[Any, Any, Value]) -> Value:
    """The explanation. Raises ClientDisconnected where the client left before; what waits then waits no longer."""
    return await unless(asyncio.ensure_future(explanation), partial(until_disconnected, request), watch=True)


def model_name(runner: ModelRunner) -> dict[str, str]:
    """The shape of `ModelName`, without the cost of making one."""
    return {"name": runner.card.name, "version": runner.version}
