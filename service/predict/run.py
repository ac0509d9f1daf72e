"""One run, top to bottom: ask, write the table, explain, move. Each part goes on where an earlier run was stopped.

Knows no command line.
"""

import asyncio
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console

from models.printable import printable
from service.engines.base import Engine
from service.model_files.options import facts_of
from service.predict import explanations, moving, tables
from service.predict.answerer import Answerer
from service.predict.asking import ask_for_all
from service.predict.errors import WrongUse
from service.predict.inputs import listed
from service.predict.journal import Journal
from service.predict.progress import Summary, Work
from service.predict.reading import version_of
from service.predict.retries import Retries
from service.predict.settings import PredictSettings


def journal_of(answers: Path) -> Path:
    """The journal of that table."""
    return answers.with_name(f"{answers.name}.partial")


def predict(settings: PredictSettings, console: Console) -> bool:
    """Do all of it, and return whether each picture that has no answer is to blame itself.

    Raises WrongUse, Stopped; ModelFileError, DeviceError, StorageFailed; KeyboardInterrupt, also for SIGTERM.
    """
    _check(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Journal(journal_of(settings.answers), _settings_that_matter(settings), restart=settings.restart) as journal:
        try:
            return _Run(settings, journal, console).whole()
        except BaseException:
            if not len(journal):
                journal.remove()  # there is nothing in it to go on with
            raise


class _Run:
    def __init__(self, settings: PredictSettings, journal: Journal, console: Console) -> None:
        self._settings, self._journal, self._console = settings, journal, console

    def whole(self) -> bool:
        settings, journal = self._settings, self._journal
        if settings.move_to and not journal.moves:
            moving.check_list(_moves_of(settings.answers))
        if settings.explain:
            explanations.begin(journal, settings.explain, overwrite=settings.overwrite)
        paths = self._paths()
        missing = [] if journal.written else [path for path in paths if not journal.has(path, version_of(path))]
        began = time.monotonic()
        if missing or settings.explain:
            engine = self._engine()
            began = time.monotonic()
            _until_signalled(self._ask_and_explain(engine, paths, missing))
        seconds = time.monotonic() - began
        if not journal.written:
            self._write_table(paths)
        summary = Summary()
        for row in journal.rows(paths):
            summary.add(row)
        if settings.move_to:
            self._move(paths, settings.move_to)
        summary.print(self._console, seconds, len(missing))
        self._tell(f"The answers are in {settings.answers}")
        journal.remove()
        return not summary.failed

    def _paths(self) -> list[str]:
        if self._journal.written:  # some may have been moved since
            self._tell(f"{self._settings.answers} was written before; what comes after it goes on")
            return self._journal.paths
        results = [folder for folder in (self._settings.explain, self._settings.move_to) if folder]
        found = listed(self._settings.inputs, results)
        for notice in found.notices():
            self._tell(notice)
        return found.paths

    def _engine(self) -> Engine | None:
        if self._settings.url:
            return None
        from service.predict.offline import load_engine  # noqa: PLC0415 - not needed to ask a service

        with self._console.status("the model is loaded"):
            engine = load_engine(self._settings)
        self._journal.check_model({"name": engine.card.name, "version": engine.version})
        return engine

    def _answerer(self, engine: Engine | None) -> Answerer:
        if engine is None:
            from service.predict.remote import Remote  # noqa: PLC0415 - neither is the other needed there

            return Remote(self._settings, Retries(self._settings.give_up_after_s, self._tell))
        from service.predict.offline import Offline  # noqa: PLC0415

        return Offline(engine, self._settings)

    async def _ask_and_explain(self, engine: Engine | None, paths: list[str], missing: list[str]) -> None:
        settings, journal = self._settings, self._journal
        answerer = self._answerer(engine)
        try:
            if missing:
                with Work(self._console, "answering", len(paths), len(paths) - len(missing)).shown() as work:
                    await ask_for_all(journal, answerer, missing, settings.max_body_bytes, work)
            if not journal.written:
                self._write_table(paths)
            if settings.explain:
                answered = self._answered(paths)
                with Work(self._console, "explaining", len(answered), len(journal.explained)).shown() as work:
                    await explanations.explain_all(
                        journal, answerer, settings.explain, answered, settings.max_body_bytes, work
                    )
        finally:
            await answerer.close()

    def _answered(self, paths: list[str]) -> list[str]:
        rows = zip(paths, self._journal.rows(paths), strict=True)
        return [path for path, row in rows if "problem" not in row]

    def _write_table(self, paths: list[str]) -> None:
        journal = self._journal
        journal.sync()
        quoted = tables.write_table(self._settings.answers, lambda: journal.rows(paths))
        journal.table_written()
        if quoted:
            self._tell(
                f"in {quoted:,} rows a text that a spreadsheet would take for a formula has an apostrophe before it"
            )

    def _move(self, paths: list[str], folder: Path) -> None:
        answered = self._answered(paths)
        with Work(self._console, "moving", len(answered), 0).shown() as work:
            moving.move_all(self._journal, folder, answered, work.advance, work.tell)
        moved = _moves_of(self._settings.answers)
        moving.write_list(moved, self._journal)
        self._tell(f"Where each picture was moved is in {moved}")

    def _tell(self, text: str) -> None:
        self._console.print(printable(text), soft_wrap=True)


def _check(settings: PredictSettings) -> None:
    """Raise WrongUse, before anything takes long, for what cannot come to an end."""
    tables.check_target(settings.answers)
    if settings.answers.exists() and not journal_of(settings.answers).exists() and not settings.overwrite:
        raise WrongUse(f"there already is {settings.answers}; name another with -o, or replace it with --overwrite")
    if settings.move_to:
        moving.check_folder(settings.move_to, map(Path, settings.inputs))


def _moves_of(answers: Path) -> Path:
    """The list of where the pictures in that table were moved."""
    return answers.with_name(f"{answers.stem}.moves.csv")


def _settings_that_matter(settings: PredictSettings) -> dict[str, Any]:
    """What the answers depend on, but for the model, which each of them names."""
    shared = {
        "url": settings.url,
        "top_k": settings.top_k,
        "preparation": settings.preparation,
        "max_body_bytes": settings.max_body_bytes,
        "embeddings": settings.embeddings,
    }
    if settings.url:
        return {**shared, "model": settings.model}
    options = facts_of(settings).model_dump(mode="json", exclude_defaults=True)
    return {**shared, "options": options, "max_image_pixels": settings.max_image_pixels}


def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`. Raises KeyboardInterrupt, once it is cancelled, for SIGINT and SIGTERM."""

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task  # noqa: S101 - it is this one
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, task.cancel)
        await work

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.default_int_handler)
