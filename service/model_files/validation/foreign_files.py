"""What a file is that is no Keras model, by its first bytes, and what to do about it. Knows no file system.

Each text goes on after "<path> is refused: ". It quotes nothing of the file.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

HEAD_BYTES = 4096
# How it begins what hosts give in place of a file; pages in small letters.
LFS_POINTER, WEB_PAGES = b"version https://git-lfs", (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")

SAVE_AS_KERAS = (
    "load it where it was made, with keras.models.load_model(...) in the version it was made with, and save it there "
    "with model.save('model.keras')"
)
SAVED_MODEL = f"it is TensorFlow's SavedModel, which Keras 3 does not load; {SAVE_AS_KERAS}"
WEIGHTS_ONLY = (
    "it holds weights alone, without the model that they belong to; build that in Python, load them with "
    "model.load_weights(...), and save the whole with model.save('model.keras')"
)
NO_MODEL = "it is HDF5, but holds no Keras model; save the whole model with model.save('model.keras')"
TENSORFLOW_JS = (
    "it is a model for TensorFlow.js; convert it with tensorflowjs_converter --input_format=tfjs_layers_model "
    "--output_format=keras, or of Teachable Machine's exports take Tensorflow, Keras"
)
TFLITE = (
    "it is a TensorFlow Lite model, from which no Keras model can be made; take the Keras model that it was converted "
    "from, or of Teachable Machine's exports take Tensorflow, Keras"
)
PYTORCH = "it is a PyTorch model, which Keras does not load; serve it with PyTorch, or fit a Keras model"
NUMPY = "it holds NumPy arrays, not a model; save the whole model with model.save('model.keras')"
CHECKPOINT = (
    "it is part of a TensorFlow checkpoint, which holds weights alone; build the model in Python, load them with "
    "model.load_weights(...), and save the whole with model.save('model.keras')"
)
UNPACK_FIRST = "it is a packed archive; unpack it, and name the model file that was in it"
UNKNOWN = (
    "its first bytes are of no kind of model file that is known here; name a .h5 or .keras file that Keras saved with "
    "model.save(...), or the zip of Teachable Machine's Keras export"
)
_LFS_POINTER = (
    "it is a Git LFS pointer, a few lines in place of the model; run `git lfs pull` in the repository, or download the "
    "file itself (on GitHub with 'Download raw file')"
)
_WEB_PAGE = (
    "it is a web page, as a login or an error answers in place of a download; download the file again, from a link "
    "that leads to the file itself"
)
_ARCHITECTURE = (
    "it is the description of a Keras model, without weights; build it with keras.models.model_from_json(...), load "
    "its weights, and save the whole with model.save('model.keras')"
)
_JSON = "it is JSON, not a model file; name the .h5 or .keras file that Keras saved with model.save(...)"
_PICKLE = (
    "it is a pickle (as of joblib or scikit-learn), which is code and never loaded here; for a Keras model in it, "
    "load it where it was made and save that with model.save('model.keras')"
)
_ONNX = "it is an ONNX model, from which no Keras model can be made; take the Keras model that it was converted from"
_FROZEN_GRAPH = (
    "it is a frozen graph of TensorFlow, from which no Keras model can be made; take the model that it came from, "
    "saved with model.save('model.keras')"
)
_KERAS_METADATA = (
    f"it is the keras_metadata.pb of TensorFlow's SavedModel, which Keras 3 does not load; {SAVE_AS_KERAS}"
)
_SAFETENSORS = (
    "it holds weights alone (safetensors); build the model in Python, load them into it, and save the whole with "
    "model.save('model.keras')"
)
_PICTURE = "it is a picture; name a model file here, and send pictures to the service once it runs"

_SSTABLE_END = bytes.fromhex("57fb808b247547db")  # how the index of a checkpoint ends
_OLD_PYTORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # a pickle of PyTorch's magic number
_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_ONNX_HEAD = re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x3a\x42]")  # ir_version, then a field of ModelProto
_BEFORE_TEXT = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*")


class Ends(NamedTuple):
    """The first HEAD_BYTES and the last eight bytes of a file, and how many it has."""

    head: bytes
    tail: bytes
    size: int

    @property
    def text(self) -> bytes:
        """The head in lower case, without what may stand before a text."""
        return _BEFORE_TEXT.sub(b"", self.head, count=1).lower()


def _is_tar(ends: Ends) -> bool:
    return ends.head[257:262] == b"ustar"


def _is_pickle(ends: Ends) -> bool:
    return ends.head[:1] == b"\x80" and ends.head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}


def _is_frozen_graph(ends: Ends) -> bool:
    return ends.head[:1] == b"\x0a" and any(kind in ends.head for kind in (b"\x12\x0bPlaceholder", b"\x12\x05Const"))


def _is_safetensors(ends: Ends) -> bool:
    return ends.head[8:9] == b"{" and 0 < int.from_bytes(ends.head[:8], "little") < ends.size


# The first that fits is told, so what is particular stands before what is general.
_KINDS: tuple[tuple[Callable[[Ends], bool], str], ...] = (
    (lambda ends: ends.size == 0, "it is empty; copy or download it again"),
    (lambda ends: ends.head.startswith(LFS_POINTER), _LFS_POINTER),
    (lambda ends: ends.head[4:8] == b"TFL3", TFLITE),
    (lambda ends: ends.head.startswith(_OLD_PYTORCH), PYTORCH),
    (_is_pickle, _PICKLE),
    (lambda ends: ends.head.startswith(b"\x93NUMPY"), NUMPY),
    (lambda ends: ends.head.startswith(_ARCHIVES) or _is_tar(ends), UNPACK_FIRST),
    (lambda ends: ends.head.startswith(_PICTURES), _PICTURE),
    (lambda ends: ends.tail == _SSTABLE_END, CHECKPOINT),
    (lambda ends: ends.head.startswith(b"model_checkpoint_path:"), CHECKPOINT),
    (lambda ends: ends.head.startswith(b"\x08\x01\x12"), SAVED_MODEL),
    (lambda ends: bool(_ONNX_HEAD.match(ends.head)), _ONNX),
    (lambda ends: ends.head[:1] == b"\x0a" and b"_tf_keras_" in ends.head, _KERAS_METADATA),
    (_is_frozen_graph, _FROZEN_GRAPH),
    (_is_safetensors, _SAFETENSORS),
    (lambda ends: ends.text.startswith(WEB_PAGES), _WEB_PAGE),
    (lambda ends: ends.text.startswith(b"{") and b'"modeltopology"' in ends.text, TENSORFLOW_JS),
    (lambda ends: ends.text.startswith(b"{") and b'"class_name"' in ends.text, _ARCHITECTURE),
    (lambda ends: ends.text.startswith((b"{", b"[")), _JSON),
)


def describe(ends: Ends) -> str:
    """What the file is and what to do about it, in words that go on after "<path> is refused: "."""
    return next((text for fits, text in _KINDS if fits(ends)), UNKNOWN)
