"""What can go wrong in a training run, in words for the person who started it."""

import re


class TrainingError(Exception):
    """A run that cannot go on; nothing was published, unless the text says so.

    The text is one line: what happened, what to do.

    TrainingError
      ├─ DataError     the data files are missing, damaged or not the ones expected
      ├─ Diverged      the loss is no longer a number
      └─ PublishError  the model file could not be written
    """


class DataError(TrainingError):
    """The data files are missing, damaged or not the ones expected."""


class Diverged(TrainingError):
    """The loss is no longer a number."""


class PublishError(TrainingError):
    """The model file could not be written."""


class Interrupted(KeyboardInterrupt):
    """A person or the system ended a run that has begun. The text is one line: what is left, how to go on."""


def reason_of(error: Exception) -> str:
    """Why a file could not be written, in one line; of what HDF5 says, the part that is for a person."""
    told_by_hdf5 = re.search(r"error message = '([^']+)'", str(error))
    return told_by_hdf5[1] if told_by_hdf5 else " ".join(str(error).split())
