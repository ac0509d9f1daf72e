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
from tests.attacks import model_files as attacks

MAX_BYTES = 256 << 20
STRUCTURE = np.dtype([("a", "f4"), ("b", "i4")])

# What a file does, and what is said of it.
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "one array named 40 times": (attacks.one_array_named_forty_times, "weight_names has a name twice"),
    "one array named by 40 layers": (attacks.one_array_named_by_many_layers, "are those of two layers"),
    "a card of thousands of texts": (attacks.card_of_one_text_many_times, "its model_card is no text"),
    "a description of thousands": (attacks.description_of_one_text_many_times, "its model_config is no text"),
    "names that are numbers": (attacks.attributes_of_another_kind, "layer_names is no list of names"),
    "names that are no text": (attacks.names_that_are_no_text, "layer_names is no UTF-8"),
    "an array of structures": (attacks.array_of(STRUCTURE, np.zeros(3, STRUCTURE)), "'odd' is not of numbers"),
    "an array of lists": (attacks.array_of(h5py.vlen_dtype("f4"), None, shape=(5,)), "'odd' is not of numbers"),
    "an array of texts": (attacks.array_of(h5py.string_dtype(), ["a", "b"]), "'odd' is not of numbers"),
    "an array of references": (attacks.array_of(h5py.ref_dtype, None, shape=(3,)), "'odd' is not of numbers"),
    "an array of regions": (attacks.array_of(h5py.regionref_dtype, None, shape=(3,)), "'odd' is not of numbers"),
    "an array of complex numbers": (attacks.array_of("c8", np.zeros(3, "c8")), "'odd' is not of numbers"),
    "an array of anything": (attacks.array_of("V9", np.zeros(3, "V9")), "'odd' is not of numbers"),
    "szip": (attacks.filtered_by(h5py.h5z.FILTER_SZIP), "packed in a way that is not known"),
    "n-bit": (attacks.filtered_by(h5py.h5z.FILTER_NBIT), "packed in a way that is not known"),
    "scale and offset": (attacks.filtered_by(h5py.h5z.FILTER_SCALEOFFSET), "packed in a way that is not known"),
    "LZF": (attacks.filtered_by(h5py.h5z.FILTER_LZF), "packed in a way that is not known"),
    "a filter to be loaded": (attacks.filtered_by(32_123), "packed in a way that is not known"),
    "1.6 TB that are not there": (attacks.declared_and_not_there, "arrays declare more than"),
    "an array in another file": (attacks.lying_elsewhere, "lies in another file"),
    "an array of other files": (attacks.put_together_from_elsewhere, "lies in another file"),
    "a link in the file": (attacks.linked(h5py.SoftLink("/model_weights")), "a link to another place"),
    "a link to another file": (attacks.linked(h5py.ExternalLink("/etc/x.h5", "/")), "a link to another place"),
    "a user block": (attacks.behind_a_user_block, "it is a picture"),
    "groups one in another": (partial(attacks.groups_one_in_another, count=500), "more than 200 deep"),
    "very many layers": (partial(attacks.very_many_layers, count=2_600), "2,603 layers, and at most 2,500"),
    "a long Sequential": (attacks.long_sequential, "Sequential models of too many layers"),
    "layers beside each other": (partial(attacks.many_layers_beside_each_other, count=2_600), "2,603 layers"),
    "calls of calls": (attacks.calls_of_calls, "called 111,111 times"),
    "layers backwards": (attacks.layers_backwards, "in too great a disorder"),
    "layers in a ring": (attacks.layers_in_a_ring, "'a' waits for what no other layer makes"),
    "very deep JSON": (attacks.very_deep_json, "cannot be read as JSON"),
    "very much JSON": (partial(attacks.very_much_json, lists=1_100_000), "more than 1,000,000 values"),
    "a zip of very many entries": (partial(attacks.very_many_entries, count=10_100), "more than 10,000 entries"),
    "an entry that swells": (partial(attacks.swelling_entry, size=MAX_BYTES + 1), "entries declare"),
    "an entry of exabytes": (attacks.entry_of_many_exabytes, "entries declare 9,223,372"),
}
# Of these it is only the process that is bounded: nothing tells how much they are before they are read.
BOUNDED: dict[str, tuple[Callable[[Path], None], str]] = {
    "names of layers that are one text": (attacks.layer_names_of_one_text_many_times, "memory"),
    "names of weights that are one text": (attacks.weight_names_of_one_text_many_times, "memory"),
    "a piece larger than its array": (attacks.chunk_larger_than_its_array, "is refused"),
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
    attacks.very_many_groups(tmp_path / "original", 300)
    with pytest.raises(ModelFileError, match="more than 200 groups and arrays"):
        validate(tmp_path / "original", MAX_BYTES)


def test_a_file_that_lacks_its_weights_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    attacks.weights_that_are_not_there(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="describes 499,800,005 parameters, and holds 0: weights are missing"):
        load_model(tmp_path / "model.h5", Facts(), ModelFileLimits())


def test_the_same_files_without_harm_are_loaded(tmp_path: Path) -> None:
    attacks.hdf5(tmp_path / "plain.h5", attacks.plain())
    attacks.keras_zip(tmp_path / "plain.keras", attacks.plain())
    for name in ("plain.h5", "plain.keras"):
        assert load_model(tmp_path / name, Facts(), ModelFileLimits()).units == 2


def test_each_attack_is_tried() -> None:
    functions = {
        name
        for name, value in vars(attacks).items()
        if inspect.isfunction(value) and list(inspect.signature(value).parameters)[:1] == ["path"]
    }
    helpers = {"hdf5", "keras_zip", "share_one_text"}
    tried = {getattr(write, "func", write).__name__ for write, _ in (REFUSED | BOUNDED).values()}
    elsewhere = {"weights_that_are_not_there", "costly_initial_values", "one_copy_for_each_step", "very_many_groups"}
    assert functions - helpers == (tried - {"write"}) | elsewhere
