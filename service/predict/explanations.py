"""Draws what each answer rests on, into a folder that mirrors those of the pictures. Knows no model and no service."""

import hashlib
import os
from pathlib import Path, PurePath

from service.predict.answerer import Answerer, Problem
from service.predict.errors import WrongUse
from service.predict.journal import Journal
from service.predict.progress import Work
from service.predict.reading import read_picture, version_of
from service.predict.tables import published
from service.predict.tasks import together

# With what is added to it while it is written, a name may have 255.
_MOST_BYTES_OF_A_NAME, _DIGEST_DIGITS = 235, 12


def drawing_of(path: str, folder: Path) -> Path:
    """Where the drawing of the picture at `path` goes: below `folder`, as the picture lies below where it was found.

    Nothing leads out of `folder`, and no two paths have one drawing: the root is written `_`, `..` is written `__`, and
    a folder that is called so has two more.
    """
    pure = PurePath(path)
    *parents, name = pure.parts[pure.is_absolute() :]
    parents = ["__" if part == ".." else part if part.strip("_") else f"{part}__" for part in parents]
    parents = ["_"] * pure.is_absolute() + parents
    encoded = os.fsencode(name)
    if len(encoded) > _MOST_BYTES_OF_A_NAME:
        digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_DIGITS]
        name = os.fsdecode(encoded[: _MOST_BYTES_OF_A_NAME - _DIGEST_DIGITS]) + digest
    return folder.joinpath(*parents, f"{name}.png")


def begin(journal: Journal, folder: Path, *, overwrite: bool) -> None:
    """Take `folder` for our own. Raises WrongUse where somebody else's files are in it."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"--explain {folder} is no folder; name another")
    name = str(folder)
    if journal.explaining == name:
        return
    if journal.explained:
        raise WrongUse(f"the drawings so far are in {journal.explaining}; give the same to --explain")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise WrongUse(f"there is something in {folder} already; name another with --explain, or give --overwrite")
    journal.begin_explaining(name)


async def explain_all(
    journal: Journal, answerer: Answerer, folder: Path, paths: list[str], most_bytes: int, work: Work
) -> None:
    """Draw for each of `paths`, which have answers, what is not drawn yet. Raises Stopped, WrongUse."""
    left = iter([path for path in paths if path not in journal.explained])
    changed = 0

    async def draw() -> None:
        nonlocal changed
        for path in left:
            content = read_picture(path, most_bytes) if version_of(path) == journal.version(path) else None
            if content is None or isinstance(content, Problem):
                changed += 1
                continue
            drawing = await answerer.explain(content)
            target = drawing_of(path, folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            with published(target) as beside:
                beside.write_bytes(drawing)
            journal.add_explained(path)
            work.advance()

    await together(draw, answerer.explanations_at_once)
    if changed:
        work.tell(f"{changed:,} pictures were changed or removed since they were looked at, and are not explained")
