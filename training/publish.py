"""Puts a finished network and its card where a service reads them: the old file or the new one, never half of one."""

import os
from pathlib import Path

import keras

from models.card import ModelCard, write_card
from training.errors import PublishError, reason_of

SUFFIXES = (".h5", ".keras")


def check_writable(output: Path) -> None:
    """Make the folder of `output`, and find out before a long run whether it can be written. Raises PublishError."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        probe = _beside(output)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PublishError(f"{output} cannot be written ({error.strerror}); name another file with --output") from error
    if output.suffix not in SUFFIXES:
        raise PublishError(
            f"{output} ends neither in .h5 nor in .keras, the formats that are published; name another file with "
            "--output"
        )


def publish(network: keras.Model, card: ModelCard, output: Path) -> None:
    """Write network and card to `output`, without the optimizer's state, in one step.

    Raises PublishError; what stood at `output` before is then still there, whole.
    """
    beside = _beside(output)
    try:
        _save(network, beside)
        write_card(beside, card)
        replace_whole(output, beside)
    except (OSError, RuntimeError, ValueError) as error:  # HDF5 reports a full disk as any of the first two
        to_do = ""
        if isinstance(error, ValueError) and output.suffix != ".keras":  # its card has little room
            other = output.with_suffix(".keras")
            to_do = f"; the same command with --resume and --output {other} publishes what was fitted"
        raise PublishError(
            f"{output} was not published: {reason_of(error)}; what was there before is untouched{to_do}"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def replace_whole(path: Path, beside: Path) -> None:
    """Put the file `beside` in the place of `path`: whatever happens, there is the old one or the new one, whole."""
    _flush(beside)
    beside.replace(path)
    _flush(path.parent)


def _save(network: keras.Model, path: Path) -> None:
    if path.suffix == ".h5":
        network.save(path, include_optimizer=False)
        return
    network.save(path)
    if network.compiled:
        # A .keras has the state of the optimizer of a compiled network. Read anew, the rest of it is whole; a copy made
        # from its configuration would lack what layers have computed of their own, such as a normalization's mean.
        keras.saving.load_model(path, compile=False).save(path)


def _beside(output: Path) -> Path:
    return output.with_name(f".{output.stem}.{os.getpid()}{output.suffix}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
