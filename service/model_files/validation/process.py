"""Validates a model file before Keras reads it, for whatever could harm who loads it. Knows neither Keras nor HTTP.

Run as a program it does so in a process of its own, whose memory and time are bounded: the libraries for HDF5 and zip,
too, are given nothing unbounded.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from models.card import ModelFileError
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.validation import keras_files, teachable_zip
from service.model_files.validation.formats import TEACHABLE_MODEL, Format, recognise
from service.model_files.validation.hdf5_files import check_model

MEMORY_BYTES = 1 << 30  # of addresses; half of it are the libraries themselves
CPU_SECONDS = 20
HDF5_NAME, KERAS_NAME, LABELS_NAME = "model.h5", "model.keras", "labels.json"
REFUSED, NO_STORAGE = 1, 3
MEMORY_SPENT = f"to validate it took more than {MEMORY_BYTES >> 20} MiB or {CPU_SECONDS} s"


def validate(original: Path, max_bytes: int) -> None:
    """Put what may be loaded of the file at `original` beside it, in its place, under the name that Keras needs.

    That is HDF5_NAME or KERAS_NAME, and LABELS_NAME where the file has class names in a part of its own. Raises
    ModelFileError for anything that a model has no need of; StorageFailed.
    """
    hdf5 = original.with_name(HDF5_NAME)
    match recognise(original):
        case Format.KERAS:
            keras_files.rebuild(original, original.with_name(KERAS_NAME), max_bytes)
        case Format.TEACHABLE_MACHINE:
            labels = teachable_zip.unpack(original, hdf5, max_bytes)
            if labels is not None:
                with writing_temporary_files():
                    original.with_name(LABELS_NAME).write_text(json.dumps(labels), "utf-8")
            _check_inner(hdf5, max_bytes)
        case Format.HDF5:
            check_model(original, max_bytes)
            with writing_temporary_files():
                original.rename(hdf5)


def _check_inner(hdf5: Path, max_bytes: int) -> None:
    try:
        recognise(hdf5)
        check_model(hdf5, max_bytes)
    except ModelFileError as error:
        raise ModelFileError(f"of its {TEACHABLE_MODEL}: {error}") from error


def _bound_this_process() -> None:
    with suppress(ImportError):  # not there on Windows
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def _main() -> int:
    _bound_this_process()
    try:
        validate(Path(sys.argv[1]), int(sys.argv[2]))
    except ModelFileError as error:
        sys.stdout.write(str(error))
        return REFUSED
    except MemoryError:
        sys.stdout.write(MEMORY_SPENT)
        return REFUSED
    except StorageFailed as error:
        cause = error.__cause__
        sys.stdout.write(str(getattr(cause, "errno", None) or 0))
        return NO_STORAGE
    return 0


if __name__ == "__main__":
    sys.exit(_main())
