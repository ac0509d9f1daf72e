"""Answers by a service that runs elsewhere, over HTTP. Knows no engine and no file."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from service.predict.answerer import Answer, ModelName, Problem, ProblemKind
from service.predict.errors import Stopped, WrongUse
from service.predict.retries import Retries
from service.predict.settings import PredictSettings

_EXPLAIN = "/plot/attribution"
_CONNECT_S = 10.0
# Of the same picture, where the service answers others.
_MOST_FAILURES = 5
_OF_THE_PICTURE: dict[int, ProblemKind] = {
    HTTPStatus.BAD_REQUEST: "empty",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not a picture",
    HTTPStatus.UNPROCESSABLE_ENTITY: "cannot be decoded",
}
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
# The picture may be the reason of these.
_FAILED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GATEWAY_TIMEOUT)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Remote:
    """See `Answerer`."""

    pictures_at_once = 1
    explanations_at_once = 2

    def __init__(self, settings: PredictSettings, retries: Retries) -> None:
        """Asks the service at `settings.url`. Raises WrongUse for an address or a key that is none."""
        self.calls_at_once = settings.concurrency
        self._url, self._retries = str(settings.url), retries
        headers = {"Content-Type": "application/octet-stream", "User-Agent": "cnn-predict"}
        if settings.api_key:
            key = settings.api_key.get_secret_value()
            if not (key.isascii() and key.isprintable()):
                raise WrongUse("--api-key has characters that no key has; see that nothing was copied beside it")
            headers["Authorization"] = f"Bearer {key}"
        try:
            httpx.URL(self._url)
        except httpx.InvalidURL as error:
            raise WrongUse(f"--url {self._url} is no address ({error})") from error
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(settings.timeout_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency),
        )
        choice: dict[str, str | int] = {"model": settings.model} if settings.model else {}
        self._how = {**choice, "preparation": settings.preparation}
        self._embeddings = settings.embeddings
        self._predict = {**self._how, "top_k": settings.top_k}

    async def answer(self, pictures: Sequence[bytes]) -> list[Answer | Problem]:
        """One for each, in order."""
        return [await self._answer(picture) for picture in pictures]

    async def explain(self, picture: bytes) -> bytes:
        """What the service draws where nothing is asked for in particular."""
        response = await self._ask(_EXPLAIN, {**self._how, "format": "png"}, picture)
        if isinstance(response, Problem) or response.headers.get("content-type") != "image/png":
            detail = response.detail if isinstance(response, Problem) else "it answered with no drawing"
            raise Stopped(f"a picture cannot be explained: {detail}")
        return response.content

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer(self, picture: bytes) -> Answer | Problem:
        response = await self._ask("/predict", self._predict, picture)
        if isinstance(response, Problem):
            return response
        try:
            answer = dict(response.json())
            if not (isinstance(answer["label"], str) and {"name", "version"} <= answer["model"].keys()):
                raise self._other_service("/predict")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._other_service("/predict") from error
        if self._embeddings:
            answer["embedding"] = await self._embedding(picture, answer["model"])
        return answer

    async def _embedding(self, picture: bytes, model: ModelName) -> list[float]:
        """Of a picture that `model` has answered for."""
        response = await self._ask("/embed", self._how, picture)
        if isinstance(response, Problem):  # which is not the picture's then
            raise WrongUse(f"the service gives no embedding: {response.detail}; leave --embeddings out")
        try:
            answer = response.json()
            (found,) = answer["results"]
            embedding, embedded_by = list(found["embedding"]), answer["model"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._other_service("/embed") from error
        if embedded_by != model:
            raise WrongUse(
                f"the service changed its model from version {model['version']} to {embedded_by['version']} in the "
                "middle of a picture; the same command says what to do"
            )
        return embedding

    def _other_service(self, call: str) -> WrongUse:
        return WrongUse(f"{self._url}{call} answers in another way than this project's service; check --url")

    async def _ask(self, call: str, parameters: Mapping[str, Any], picture: bytes) -> httpx.Response | Problem:
        """The answer of status 200, or the problem with the picture. Raises Stopped, WrongUse."""
        failures = attempt = 0
        while True:
            await self._retries.ready()
            retry_after = None
            try:
                response = await self._client.post(f"{self._url}{call}", params=parameters, content=picture)
            except httpx.TransportError as error:
                reason = f"{self._url}: {str(error) or type(error).__name__}"
                failures += not isinstance(error, _UNSENT)
            else:
                if response.status_code not in (*_LATER, *_FAILED):
                    self._retries.answered()
                    return self._read(call, response)
                reason = f"{response.status_code}: {_detail(response)}"
                retry_after = response.headers.get("retry-after")
                failures += response.status_code in _FAILED
                if (
                    call == _EXPLAIN
                    and _is_problem(response)
                    and retry_after is None
                    and (response.status_code == HTTPStatus.SERVICE_UNAVAILABLE)
                ):
                    raise Stopped(f"the service cannot explain pictures ({reason})")  # and will not be able to later
            if failures >= _MOST_FAILURES and await self._lives():
                return Problem("failed", f"the service failed at it {failures} times ({reason})")
            await self._retries.wait(attempt, reason, retry_after)
            attempt += 1

    async def _lives(self) -> bool:
        """Whether the service answers anything, so that what failed five times is the picture's doing."""
        try:
            response = await self._client.get(f"{self._url}/health/live")
        except httpx.TransportError:
            return False
        return response.status_code == HTTPStatus.OK

    def _read(self, call: str, response: httpx.Response) -> httpx.Response | Problem:
        status, detail = response.status_code, _detail(response)
        if status == HTTPStatus.OK:
            return response
        if status in _OF_THE_PICTURE and _is_problem(response):
            return Problem(_OF_THE_PICTURE[status], detail)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise WrongUse(
                f"{self._url} lets nobody in without a key that it knows ({status}: {detail}); put the key into the "
                "environment as SERVICE_API_KEY"
            )
        advice = f"; it leads to {response.headers['location']!r:.200}" if "location" in response.headers else ""
        raise WrongUse(f"{self._url}{call} answers with {status}: {detail}{advice}; check --url and --model")


def _is_problem(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-type", "").startswith("application/problem+json"))


def _detail(response: httpx.Response) -> str:
    """What a problem document says; of anything else its status in words."""
    if _is_problem(response):
        try:
            return str(json.loads(response.content)["detail"])
        except (ValueError, KeyError, TypeError):
            pass
    return response.reason_phrase or "it says nothing more"
