"""Validates a model file before Keras reads it, for whatever could harm who loads it. Knows neither Keras nor HTTP.

Run as a program it does so in a process of its own, whose memory and time are bounded: the libraries for HDF5 and zip,
too, are given nothing unbounded.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from models import card_storage
from models.card import ModelCard, ModelFileError
from models.reasons import first_line
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.upgrade.model_file import upgrade_file
from service.model_files.validation import keras_files, teachable_zip
from service.model_files.validation.building import check_building
from service.model_files.validation.formats import TEACHABLE_MODEL, Format, recognise
from service.model_files.validation.hdf5_copy import copy_model

MEMORY_BYTES = 1 << 30  # of addresses; half of it are the libraries themselves
CPU_SECONDS = 20
HDF5_NAME, KERAS_NAME, LABELS_NAME = "model.h5", "model.keras", "labels.json"
REFUSED, NO_STORAGE = 1, 3
MEMORY_SPENT = f"to validate it took more than {MEMORY_BYTES >> 20} MiB or {CPU_SECONDS} s"


def validate(original: Path, max_bytes: int) -> None:
    """Put what may be loaded of the file at `original` beside it, in its place, under the name that Keras needs.

    That is HDF5_NAME or KERAS_NAME, written anew from what was checked and upgraded to what Keras 3 loads, and
    LABELS_NAME where the file has class names in a part of its own. Raises ModelFileError for anything that a model has
    no need of; StorageFailed.
    """
    hdf5, keras = original.with_name(HDF5_NAME), original.with_name(KERAS_NAME)
    match recognise(original):
        case Format.KERAS:
            keras_files.rebuild(original, keras, max_bytes)
        case Format.TEACHABLE_MACHINE:
            inner = original.with_name("inner")
            labels = teachable_zip.unpack(original, inner, max_bytes)
            if labels is not None:
                with writing_temporary_files():
                    original.with_name(LABELS_NAME).write_text(json.dumps(labels), "utf-8")
            _copy_inner(inner, hdf5, max_bytes)
        case Format.HDF5:
            copy_model(original, hdf5, max_bytes)
            with writing_temporary_files():
                original.unlink()
    made = keras if keras.exists() else hdf5
    _check_card(card_storage.read_text(made))
    check_building(upgrade_file(made))


def _copy_inner(inner: Path, hdf5: Path, max_bytes: int) -> None:
    try:
        recognise(inner)
        copy_model(inner, hdf5, max_bytes)
    except ModelFileError as error:
        raise ModelFileError(f"of its {TEACHABLE_MODEL}: {error}") from error
    with writing_temporary_files():
        inner.unlink()


def _check_card(text: str | bytes | None) -> None:
    try:
        if text is not None:
            ModelCard.model_validate_json(text)
    except ValueError as error:
        raise ModelFileError(
            f"its model card cannot be read ({first_line(error)}); train the model again, or remove "
            f"{card_storage.ATTRIBUTE!r} from the file to serve it without a card"
        ) from error


def _bound_this_process() -> None:
    with suppress(ImportError):  # not there on Windows
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _main() -> int:
    _bound_this_process()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # nobody put another in its place
    try:
        validate(Path(sys.argv[1]), int(sys.argv[2]))
    except ModelFileError as error:
        sys.stdout.write(str(error))
        return REFUSED
    except RecursionError:
        sys.stdout.write("its description of the model is nested too deeply")
        return REFUSED
    except MemoryError:
        sys.stdout.write(MEMORY_SPENT)
        return REFUSED
    except StorageFailed as error:
        cause = error.__cause__
        sys.stdout.write(str(getattr(cause, "errno", None) or 0))
        return NO_STORAGE
    except Exception as error:  # whatever else an untrusted file brings about, who waits for an answer gets one
        sys.stdout.write(f"it is not as any Keras writes it ({type(error).__name__}: {first_line(error)})")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main())
