"""The protocol's extension for the repository of models: which there are, load, roll back, unload."""

import time
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from models.card import ModelFileError
from service.context import context_of
from service.errors import MalformedRequest
from service.http.bodies import SMALL_BODY_BYTES, read_body
from service.http.compression import unpack
from service.http.json_bodies import JsonBounds, parse_json
from service.inference.model_runner import ModelRunner
from service.inference.repository import ModelRepository
from service.protocols.documentation import REF_TEMPLATE, errors
from service.protocols.oip import descriptions
from service.protocols.oip.answers import LoadedModel, RepositoryModel
from service.protocols.oip.documentation import ModelName

router = APIRouter()


class LoadParameters(BaseModel):
    """What may be said of the file to load; parameters of other servers are left alone."""

    version: Annotated[str | None, Field(max_length=40)] = None


class LoadRequest(BaseModel):
    """The body of a load request, which may be left out."""

    parameters: LoadParameters = LoadParameters()


_LOAD_BODY = {
    "requestBody": {
        "content": {"application/json": {"schema": LoadRequest.model_json_schema(ref_template=REF_TEMPLATE)}}
    }
}


@router.post("/repository/index", operation_id="oip_repository_index", summary="List the models", responses=errors())
async def repository_index(request: Request) -> list[RepositoryModel]:
    """The models that answer, and those that were unloaded."""
    return descriptions.repository_index(context_of(request).prediction.repository)


@router.post(
    "/repository/models/{model}/load",
    operation_id="oip_repository_model_load",
    summary="Load a model's file, or roll back",
    responses=errors(400, 404, 408, 413, 501, 503, 504, 507),
    openapi_extra=_LOAD_BODY,
)
async def load(request: Request, model: ModelName) -> LoadedModel:
    """Let the file that stands in the model's place now answer, or the previous `version` that the parameters name.

    A model that came into the folder of models is loaded for the first time. All workers follow; other
    replicas would not, so that one of several answers 501.
    """
    context = context_of(request)
    repository = context.prediction.repository
    body = await read_body(request, context.bodies)
    encoding = request.headers.get("content-encoding", "")
    read = partial(_wanted_version, body, encoding, context.settings.max_body_bytes)
    # Other servers take whole files here.
    deadline = time.monotonic() + context.settings.request_timeout_s
    large = bool(encoding) or len(body) > SMALL_BODY_BYTES
    version = await context.prediction.on_a_thread(read, deadline) if large else read()
    runner = await load_or_roll_back(repository, model, version)
    return {"name": runner.card.name, "version": runner.served_version}


@router.post(
    "/repository/models/{model}/unload",
    operation_id="oip_repository_model_unload",
    summary="Unload a model",
    responses=errors(400, 404, 501, 503, 507),
)
async def unload(request: Request, model: ModelName) -> None:
    """Let one of several models answer no longer, in any worker, until it is loaded again."""
    await context_of(request).prediction.repository.unload(model)


async def load_or_roll_back(repository: ModelRepository, name: str, version: str | None) -> ModelRunner:
    """What answers from now on: the model's file as it is, or the previous `version`.

    Raises MalformedRequest where the file cannot be served, and as `load` and `roll_back` of `ModelRepository` do.
    """
    try:
        return await (repository.roll_back(name, version) if version else repository.load(name))
    except ModelFileError as error:
        raise MalformedRequest(f"{error}; what answered before goes on answering") from error


def _wanted_version(packed: bytes, encoding: str, max_bytes: int) -> str | None:
    """What the body, which clients send without a content type or not at all, says of the version."""
    body = unpack(packed, encoding, max_bytes)
    if not body:
        return None
    content = parse_json(body, JsonBounds())
    try:
        return LoadRequest.model_validate(content).parameters.version
    except ValidationError as error:
        raise MalformedRequest(f"the body is not what load takes: {error.errors()[0]['msg']}") from error
