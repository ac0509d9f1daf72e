"""What a frozen network makes of images, computed once and kept on disk. Knows no files of images and no recipe."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from models.preprocessing import scaled
from models.whole_files import whole_file
from training.base import Base
from training.progress import progress_bar

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# Images of which the features are kept in one file: what is lost when a run is killed.
_TOGETHER = 256
_BATCH = 32


class FrozenFeatures:
    """Computes the features that a network makes of images, or finds them in a folder."""

    def __init__(self, base: Base, folder: Path, console: Console) -> None:
        """Files in `folder` are named by what went into them; they may be deleted at any time."""
        self._base, self._folder, self._console = base, folder, console
        digest = hashlib.sha256(base.body.to_json().encode())
        for weights in base.body.get_weights():
            digest.update(np.ascontiguousarray(weights).data)
        digest.update(base.input.model_dump_json().encode())
        self._digest = digest.digest()

    def __call__(self, what: str, images: Images) -> Floats:
        """Float32 (count, units) of uint8 images (count, height, width, channels).

        Progress is shown as `what`. Raises OSError where the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        parts = []
        with progress_bar(self._console) as progress:
            task = progress.add_task(what, total=len(images))
            for first in range(0, len(images), _TOGETHER):
                part = np.ascontiguousarray(images[first : first + _TOGETHER])
                parts.append(self._part(part))
                progress.advance(task, len(part))
        return np.concatenate(parts)

    def _part(self, images: Images) -> Floats:
        digest = hashlib.sha256(self._digest)
        digest.update(images.data)
        path = self._folder / f"{digest.hexdigest()[:32]}.npy"
        kept = _read(path, (len(images), self._base.body.output_shape[1]))
        if kept is None:
            kept = self._base.body.predict(scaled(images, self._base.input), batch_size=_BATCH, verbose=0)
            _write(path, kept)
        return kept


def _read(path: Path, shape: tuple[int, int]) -> Floats | None:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # there is none, or it is damaged: it is made anew
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None


def _write(path: Path, features: Floats) -> None:
    with whole_file(path) as beside:
        np.save(beside, features)
