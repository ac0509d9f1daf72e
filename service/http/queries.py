"""Parameters in the address that a call does not take: told by name, so that none is silently without effect.

Knows no call. Health, metrics and the pages are asked by programs that add parameters of their own, and do without.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import Request

from models.misspelt import nearest
from service.errors import MalformedRequest


async def known_parameters_only(request: Request) -> None:
    """For the dependencies of a router. Raises MalformedRequest for a parameter that the call does not take."""
    if not request.scope["query_string"]:
        return
    known = list(parameters_of(request))
    for name in request.query_params:
        if name not in known:
            near = nearest(name, known)
            meant = f"did you mean {near!r}?" if near else f"this call takes {', '.join(map(repr, known)) or 'none'}"
            raise MalformedRequest(f"unknown query parameter {name!r:.80}; {meant}")


def parameters_of(request: Request) -> Iterator[str]:
    """The names of the parameters that the call in `request` reads from the address."""
    return _parameters(request.scope["route"].dependant)


def _parameters(dependant: Any) -> Iterator[str]:
    """The names that are read, by a call itself and by what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)
