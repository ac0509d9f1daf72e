"""Models and zips that take long to build or to unpack: each is written to a path.

Every description is small and plain but for the one thing that its function is called after. There are no weights in
them where none are needed to do harm: an unprotected service builds first and reads them later.
"""

import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.attacks.model_files import functional, hdf5, keras_zip, layer, plain, sequential, start, tensor


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
