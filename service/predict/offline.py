"""Answers by the model in this program: decoding, batching and engine are the service's. Knows no picture file."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence

from models.card import ModelFileError
from models.image_errors import EmptyImage, ImageError, UnknownFormat
from models.preprocessing import Pixels, scaled
from service.engine_choice import choose_engine
from service.engines.base import Engine
from service.engines.findings import log_findings
from service.errors import InferenceFailed, NoFiniteAnswer, NothingToExplain, ServiceError
from service.explain.explained_models import ExplainedModels
from service.explain.process.queue import ExplanationQueue
from service.inference.batcher import BatchLimits
from service.inference.decoder import Decoder
from service.inference.model_folder import model_files
from service.inference.model_runner import ModelRunner
from service.inference.ranking import prediction_of
from service.inference.waiting_bytes import WaitingBytes
from service.predict.answerer import Answer, ModelName, Problem
from service.predict.errors import Stopped, WrongUse
from service.predict.settings import PredictSettings

# As in the service's worker: the inference thread needs Python to begin its next batch.
_SWITCH_INTERVAL_S = 0.0005
# Nobody waits for one picture here. What decodes and runs it has bounds of its own.
_LONG_S = 24 * 3600.0
# While one batch is in the model, the next is decoded, and the one before written down.
_CALLS_AT_ONCE = 3


def load_engine(settings: PredictSettings) -> Engine:
    """The model that answers, loaded and warm.

    Raises WrongUse for a folder of several; ModelFileError, DeviceError, StorageFailed.
    """
    path = settings.model_path
    if path.is_dir():
        path, *others = model_files(settings.model_path, None)
        if others:
            raise WrongUse(
                f"the folder {settings.model_path} has {1 + len(others)} models; name one of them with --model-path"
            )
    engine = choose_engine(settings).load(path)
    log_findings(engine)
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    return engine


class Offline:
    """See `Answerer`. To be made on a running event loop."""

    explanations_at_once = 1

    def __init__(self, engine: Engine, settings: PredictSettings) -> None:
        """Answers by `engine`, which it closes."""
        self.pictures_at_once = settings.max_batch_size
        self.calls_at_once = _CALLS_AT_ONCE
        self._settings = settings
        most = self.pictures_at_once * self.calls_at_once
        self._runner = ModelRunner(engine, BatchLimits(settings.max_batch_size, most), _LONG_S)
        processes = max(2, os.cpu_count() or 1)
        self._decoder = Decoder(settings.max_image_pixels, most, WaitingBytes(sys.maxsize), processes)
        self._explained = ExplainedModels(ExplanationQueue(settings.timeout_s))
        if settings.embeddings and engine.embedding_dimension is None:
            raise WrongUse("the model has no embeddings: no dense layer ends it; leave --embeddings out")
        self._model = ModelName(name=engine.card.name, version=engine.version)

    async def answer(self, pictures: Sequence[bytes]) -> list[Answer | Problem]:
        """One for each, in order."""
        decoded = await self._decoded(pictures)
        pixels = [one for one in decoded if not isinstance(one, Problem)]
        answers = iter(await self._scored(pixels) if pixels else ())
        return [one if isinstance(one, Problem) else next(answers) for one in decoded]

    async def explain(self, picture: bytes) -> bytes:
        """As the service draws it where nothing is asked for in particular."""
        card, deadline = self._runner.card, time.monotonic() + _LONG_S
        try:
            explainer = self._explained.of(self._runner).explainer
            prepared = await self._decoder.prepared(picture, card.input, deadline, self._settings.preparation)
            return await explainer.draw_attribution(
                prepared, scaled(prepared.pixels, card.input), "grad-cam", None, "png"
            )
        except NothingToExplain as error:
            raise WrongUse(f"the model cannot be explained: {error}; leave --explain out") from error
        except (ServiceError, ModelFileError, ImageError) as error:
            raise Stopped(f"a picture cannot be explained: {error}") from error

    async def close(self) -> None:
        """End the inference thread and all processes."""
        await asyncio.gather(self._runner.close(1.0), self._decoder.close(), self._explained.close())

    async def _decoded(self, pictures: Sequence[bytes]) -> list[Pixels | Problem]:
        """As the model is to see them. What could take long is decoded in processes, beside each other."""
        wanted, preparation = self._runner.card.input, self._settings.preparation
        found: list[Pixels | Problem | None] = []
        for picture in pictures:
            try:
                found.append(self._decoder.at_once(picture, wanted, preparation))
            except ImageError as error:
                found.append(_problem(error))
        large = [place for place, one in enumerate(found) if one is None]
        for place, one in zip(
            large, await asyncio.gather(*(self._decoded_alone(pictures[place]) for place in large)), strict=True
        ):
            found[place] = one
        return [one for one in found if one is not None]

    async def _decoded_alone(self, picture: bytes) -> Pixels | Problem:
        try:
            return await self._decoder.pixels(
                picture, self._runner.card.input, time.monotonic() + _LONG_S, self._settings.preparation
            )
        except ImageError as error:
            return _problem(error)
        except ServiceError as error:
            return Problem("failed", str(error))

    async def _scored(self, pixels: Sequence[Pixels]) -> list[Answer | Problem]:
        try:
            scores = await self._runner.submit(pixels, time.monotonic() + _LONG_S)
        except InferenceFailed as error:
            if len(pixels) == 1:
                return [Problem("failed", f"the model failed at it: {error.__cause__}")]
            # One of them may be at fault: none shall fail for its neighbours.
            return [answer for one in pixels for answer in await self._scored([one])]
        card, top_k = self._runner.card, self._settings.top_k
        answers: list[Answer | Problem] = []
        for one in scores:
            try:
                prediction = prediction_of(one, card, top_k)
            except NoFiniteAnswer as error:
                answers.append(Problem("failed", str(error)))
                continue
            answer = {**prediction, "model": self._model}
            if self._settings.embeddings and one.embedding is not None:
                answer["embedding"] = one.embedding.tolist()
            answers.append(answer)
        return answers


def _problem(error: ImageError) -> Problem:
    match error:
        case EmptyImage():
            return Problem("empty", str(error))
        case UnknownFormat():
            return Problem("not a picture", str(error))
    return Problem("cannot be decoded", str(error))
