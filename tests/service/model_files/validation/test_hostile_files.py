"""Small files that would take memory or time without end: refused, each within the bounds of the validating process."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from models.card import ModelFileError
from models.specification import Facts
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.validation import hdf5_files
from service.model_files.validation.process import validate
from tests.attacks import hdf5_models, large_models, model_files

MAX_BYTES = 256 << 20
STRUCTURE = np.dtype([("a", "f4"), ("b", "i4")])

# What a file does, and what is said of it.
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "one array named 40 times": (hdf5_models.one_array_named_forty_times, "weight_names has a name twice"),
    "one array named by 40 layers": (hdf5_models.one_array_named_by_many_layers, "are those of two layers"),
    "a card of thousands of texts": (hdf5_models.card_of_one_text_many_times, "its model_card is no text"),
    "a description of thousands": (hdf5_models.description_of_one_text_many_times, "its model_config is no text"),
    "names that are numbers": (hdf5_models.attributes_of_another_kind, "layer_names is no list of names"),
    "names that are no text": (hdf5_models.names_that_are_no_text, "layer_names is no UTF-8"),
    "an array of structures": (hdf5_models.array_of(STRUCTURE, np.zeros(3, STRUCTURE)), "'odd' is not of numbers"),
    "an array of lists": (hdf5_models.array_of(h5py.vlen_dtype("f4"), None, shape=(5,)), "'odd' is not of numbers"),
    "an array of texts": (hdf5_models.array_of(h5py.string_dtype(), ["a", "b"]), "'odd' is not of numbers"),
    "an array of references": (hdf5_models.array_of(h5py.ref_dtype, None, shape=(3,)), "'odd' is not of numbers"),
    "an array of regions": (hdf5_models.array_of(h5py.regionref_dtype, None, shape=(3,)), "'odd' is not of numbers"),
    "an array of complex numbers": (hdf5_models.array_of("c8", np.zeros(3, "c8")), "'odd' is not of numbers"),
    "an array of anything": (hdf5_models.array_of("V9", np.zeros(3, "V9")), "'odd' is not of numbers"),
    "szip": (hdf5_models.filtered_by(h5py.h5z.FILTER_SZIP), "packed in a way that is not known"),
    "n-bit": (hdf5_models.filtered_by(h5py.h5z.FILTER_NBIT), "packed in a way that is not known"),
    "scale and offset": (hdf5_models.filtered_by(h5py.h5z.FILTER_SCALEOFFSET), "packed in a way that is not known"),
    "LZF": (hdf5_models.filtered_by(h5py.h5z.FILTER_LZF), "packed in a way that is not known"),
    "a filter to be loaded": (hdf5_models.filtered_by(32_123), "packed in a way that is not known"),
    "1.6 TB that are not there": (hdf5_models.declared_and_not_there, "arrays declare more than"),
    "an array in another file": (hdf5_models.lying_elsewhere, "lies in another file"),
    "an array of other files": (hdf5_models.put_together_from_elsewhere, "lies in another file"),
    "a link in the file": (hdf5_models.linked(h5py.SoftLink("/model_weights")), "a link to another place"),
    "a link to another file": (hdf5_models.linked(h5py.ExternalLink("/etc/x.h5", "/")), "a link to another place"),
    "a user block": (hdf5_models.behind_a_user_block, "it is a picture"),
    "groups one in another": (partial(hdf5_models.groups_one_in_another, count=500), "more than 200 deep"),
    "very many layers": (partial(large_models.very_many_layers, count=2_600), "2,603 layers, and at most 2,500"),
    "a long Sequential": (large_models.long_sequential, "Sequential models of too many layers"),
    "layers beside each other": (partial(large_models.many_layers_beside_each_other, count=2_600), "2,603 layers"),
    "calls of calls": (large_models.calls_of_calls, "called 111,111 times"),
    "layers backwards": (large_models.layers_backwards, "in too great a disorder"),
    "layers in a ring": (large_models.layers_in_a_ring, "'a' waits for what no other layer makes"),
    "very deep JSON": (large_models.very_deep_json, "cannot be read as JSON"),
    "very much JSON": (partial(large_models.very_much_json, lists=1_100_000), "more than 1,000,000 values"),
    "a zip of very many entries": (partial(large_models.very_many_entries, count=10_100), "more than 10,000 entries"),
    "an entry that swells": (partial(large_models.swelling_entry, size=MAX_BYTES + 1), "entries declare"),
    "an entry of exabytes": (large_models.entry_of_many_exabytes, "entries declare 9,223,372"),
}
# Of these it is only the process that is bounded: nothing tells how much they are before they are read.
BOUNDED: dict[str, tuple[Callable[[Path], None], str]] = {
    "names of layers that are one text": (hdf5_models.layer_names_of_one_text_many_times, "memory"),
    "names of weights that are one text": (hdf5_models.weight_names_of_one_text_many_times, "memory"),
    "a piece larger than its array": (hdf5_models.chunk_larger_than_its_array, "is refused"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_what_it_does(name: str, tmp_path: Path) -> None:
    write, reason = REFUSED[name]
    write(tmp_path / "original")
    with pytest.raises(ModelFileError, match=reason) as refused:
        validate(tmp_path / "original", MAX_BYTES)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", BOUNDED)
def test_what_nothing_foretells_ends_with_its_process(name: str, tmp_path: Path) -> None:
    write, reason = BOUNDED[name]
    write(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match=reason), snapshot(tmp_path / "model.h5", ModelFileLimits()):
        pass


def test_very_many_groups_are_not_all_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_files, "_MOST_OBJECTS", 200)
    hdf5_models.very_many_groups(tmp_path / "original", 300)
    with pytest.raises(ModelFileError, match="more than 200 groups and arrays"):
        validate(tmp_path / "original", MAX_BYTES)


def test_a_file_that_lacks_its_weights_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    large_models.weights_that_are_not_there(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="describes 499,800,005 parameters, and holds 0: weights are missing"):
        load_model(tmp_path / "model.h5", Facts(), ModelFileLimits())
    large_models.costly_initial_values(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="weights are missing"):
        load_model(tmp_path / "model.h5", Facts(), ModelFileLimits())


def test_a_recurrent_layer_computes_in_a_loop(tmp_path: Path) -> None:
    large_models.one_copy_for_each_step(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras", Facts(), ModelFileLimits()).model
    assert [layer.unroll for layer in model.layers if hasattr(layer, "unroll")] == [False]


def test_the_same_files_without_harm_are_loaded(tmp_path: Path) -> None:
    model_files.hdf5(tmp_path / "plain.h5", model_files.plain())
    model_files.keras_zip(tmp_path / "plain.keras", model_files.plain())
    for name in ("plain.h5", "plain.keras"):
        assert load_model(tmp_path / name, Facts(), ModelFileLimits()).units == 2


def test_each_attack_is_tried() -> None:
    attacks = {
        name
        for module in (hdf5_models, large_models)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
        and list(inspect.signature(value).parameters)[:1] == ["path"]
    }
    tried = {getattr(write, "func", write).__name__ for write, _ in (REFUSED | BOUNDED).values()} - {"write"}
    elsewhere = {"weights_that_are_not_there", "costly_initial_values", "one_copy_for_each_step", "very_many_groups"}
    assert attacks - {"share_one_text"} == tried | elsewhere
