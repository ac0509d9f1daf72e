"""Images → answers, once for every protocol: capacity, decoding, batching, deadline, cancellation.

A protocol finds a model, reads its request into images, calls `predict`, and encodes what comes back. Knows no
protocol, no HTTP and no engine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from models.decoding import ImageError
from models.preprocessing import ModelInput, Pixels, PreparationChoice, PreparedImage
from service.errors import ClientDisconnected
from service.inference.decoder import Decoder
from service.inference.model_runner import ImageScores, ModelRunner
from service.inference.repository import ModelRepository
from service.metrics import REJECTED

Value = TypeVar("Value")

# An encoded image, or one that is as the model takes it: uint8 pixels, which are scaled, or float32, which are not.
Image = bytes | Pixels | ModelInput
# Returns once the client has left.
Disconnected = Callable[[], Awaitable[object]]


class Predicted(NamedTuple):
    """What the model says of one image, and what it saw of it: uint8 or float32 (height, width, channels)."""

    scores: ImageScores
    image: Pixels | ModelInput


class Prediction:
    """The way from images to answers."""

    def __init__(self, repository: ModelRepository, decoder: Decoder) -> None:
        """Answers with the models of `repository`."""
        self.repository = repository
        self._decoder = decoder

    def find(self, name: str | None) -> ModelRunner:
        """What answers for the model of that name, or for the default one, if it takes one image more.

        To be asked before a body is read, and `current` after it: while a slow client sent it, another version may have
        come. Raises NotFound, Overloaded or NotReady.
        """
        runner = self.current(name)
        runner.ensure_capacity()
        return runner

    def current(self, name: str | None) -> ModelRunner:
        """What answers for the model of that name, or for the default one. Raises NotFound."""
        return self.repository.named(name).current

    async def predict(
        self,
        runner: ModelRunner,
        images: Sequence[Image],
        disconnected: Disconnected,
        *,
        deadline: float | None = None,
        preparation: PreparationChoice = "auto",
    ) -> list[Predicted]:
        """The answer for each of `images`, in order.

        `deadline` is a time of `time.monotonic()`; without it the runner's own, from now. Raises ImageError for the
        first image that cannot be used, with its position; Overloaded, NotReady, DeadlineExceeded, InferenceFailed, or
        ClientDisconnected.
        """
        runner.ensure_capacity(len(images))
        deadline = runner.deadline() if deadline is None else deadline
        rows = [await self._decoded(runner, image, place, deadline, preparation) for place, image in enumerate(images)]
        return await self._answers(runner, rows, deadline, disconnected)

    async def predict_each(
        self,
        runner: ModelRunner,
        images: Sequence[Image],
        disconnected: Disconnected,
        *,
        preparation: PreparationChoice = "auto",
    ) -> list[Predicted | ImageError]:
        """As `predict`, but that an image that cannot be used has its error in its place, and the others an answer."""
        runner.ensure_capacity(len(images))
        deadline = runner.deadline()
        results: list[Predicted | ImageError | None] = []
        rows: list[Pixels | ModelInput] = []
        for place, image in enumerate(images):
            try:
                rows.append(await self._decoded(runner, image, place, deadline, preparation))
                results.append(None)
            except ImageError as error:
                results.append(error)
        answers = iter(await self._answers(runner, rows, deadline, disconnected) if rows else ())
        return [next(answers) if result is None else result for result in results]

    async def prepare(self, runner: ModelRunner, content: bytes, preparation: PreparationChoice) -> PreparedImage:
        """One encoded image as the model and as a person sees it. Raises ImageError, Overloaded, DeadlineExceeded."""
        try:
            return await self._decoder.prepared(content, runner.card.input, runner.deadline(), preparation)
        except ImageError as error:
            REJECTED.labels(error.code).inc()
            raise

    async def on_a_thread(self, work: Callable[[], Value], deadline: float) -> Value:
        """What `work` makes of a large request: bounded together with decoding large images.

        Raises what `work` raises, Overloaded or DeadlineExceeded.
        """
        return await self._decoder.on_a_thread(work, deadline)

    async def _decoded(
        self, runner: ModelRunner, image: Image, place: int, deadline: float, preparation: PreparationChoice
    ) -> Pixels | ModelInput:
        if not isinstance(image, bytes):
            return image
        try:
            return await self._decoder.pixels(image, runner.card.input, deadline, preparation)
        except ImageError as error:
            error.position = place
            REJECTED.labels(error.code).inc()
            raise

    async def _answers(
        self, runner: ModelRunner, rows: Sequence[Pixels | ModelInput], deadline: float, disconnected: Disconnected
    ) -> list[Predicted]:
        scores = await unless_disconnected(runner.submit(rows, deadline), disconnected, watch=runner.backed_up)
        return list(map(Predicted, scores, rows))


async def unless_disconnected(answer: asyncio.Future[Value], disconnected: Disconnected, *, watch: bool) -> Value:
    """The answer, or what it raises. Raises ClientDisconnected where the client left before, and cancels it.

    To `watch` for that takes a task for each request; it pays only where many wait.
    """
    if not watch:
        return await answer
    watching = asyncio.ensure_future(disconnected())
    watching.add_done_callback(lambda _: answer.cancel())
    try:
        return await answer
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled():
            raise ClientDisconnected("the client left before its answer") from None
        raise
    finally:
        watching.cancel()
