"""Asks for what the journal does not have yet, and writes it down there. Knows no model, no service and no table."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.predict.answerer import Answer, Answerer, Problem
from service.predict.journal import Journal, Row, Version
from service.predict.progress import Work
from service.predict.reading import read_picture, version_of
from service.predict.tasks import together

# Of the files that are read together.
_MOST_BYTES = 32 << 20


class _Picture(NamedTuple):
    path: str
    version: Version


async def ask_for_all(
    journal: Journal, answerer: Answerer, missing: Sequence[str], most_bytes: int, work: Work
) -> None:
    """A row for each of the `missing` paths, in the journal. Raises Stopped, WrongUse.

    A few calls run beside each other. Whatever is answered when one of them fails is in the journal.
    """
    parts = _parts(missing, answerer.pictures_at_once)

    async def ask() -> None:
        for pictures in parts:
            rows = await _rows(answerer, pictures, most_bytes)
            journal.add(rows)
            work.advance(len(rows), sum("problem" in row for _, _, row in rows))

    await together(ask, answerer.calls_at_once)


def _parts(paths: Sequence[str], most: int) -> Iterator[list[_Picture]]:
    """At most so many pictures, and not too many bytes, at a time."""
    part: list[_Picture] = []
    size = 0
    for path in paths:
        picture = _Picture(path, version_of(path))
        if part and (len(part) == most or size + picture.version.size > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(picture)
        size += max(0, picture.version.size)
    if part:
        yield part


async def _rows(answerer: Answerer, pictures: list[_Picture], most_bytes: int) -> list[tuple[str, Version, Row]]:
    contents = await asyncio.to_thread(lambda: [read_picture(one.path, most_bytes) for one in pictures])
    readable = [content for content in contents if not isinstance(content, Problem)]
    answers = iter(await answerer.answer(readable) if readable else ())
    return [
        (path, version, _row(path, content if isinstance(content, Problem) else next(answers)))
        for (path, version), content in zip(pictures, contents, strict=True)
    ]


def _row(path: str, found: Answer | Problem) -> Row:
    return {"path": path, "problem": found._asdict()} if isinstance(found, Problem) else {"path": path, **found}
