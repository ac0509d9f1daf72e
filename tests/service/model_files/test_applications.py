"""All of `keras.applications`: their descriptions pass the validation, and Keras builds them again."""

import inspect
import json

import keras
import pytest

from service.model_files.applications import application_in
from service.model_files.sizes import building_nothing
from service.model_files.upgrade.model_file import upgraded
from service.model_files.validation.building import check_building, quick_to_build
from service.model_files.validation.description import check_description

NETWORKS = sorted(name for name, made in vars(keras.applications).items() if inspect.isfunction(made))


@pytest.mark.parametrize("name", NETWORKS)
def test_its_description_is_let_through_and_needs_no_upgrade(name: str) -> None:
    with building_nothing():
        model = getattr(keras.applications, name)(weights=None)
    for described in (
        keras.saving.serialize_keras_object(model),  # as a .keras has it
        {"class_name": type(model).__name__, "config": model.get_config()},  # as HDF5 has it
    ):
        description = json.loads(json.dumps(described, default=str))
        check_description(description)
        assert upgraded(description) == description
        check_building(quick_to_build(description))


def test_the_pixels_that_each_was_pretrained_on_are_known_by_name() -> None:
    with building_nothing():
        found = {
            name: application_in(getattr(keras.applications, name)(weights=None))
            for name in (
                "MobileNet",
                "MobileNetV2",
                "VGG16",
                "ResNet50",
                "ResNet50V2",
                "DenseNet121",
                "Xception",
                "EfficientNetB0",
            )
        }
    assert {name: one.pixels for name, one in found.items() if one} == {
        "MobileNet": "-1..1",
        "MobileNetV2": "-1..1",
        "VGG16": "caffe",
        "ResNet50": "caffe",
        "ResNet50V2": "-1..1",
        "DenseNet121": "torch",
        "Xception": "-1..1",
        "EfficientNetB0": "0..255",
    }


def test_a_model_that_is_only_described_is_never_made() -> None:
    with building_nothing():
        described = keras.Sequential([keras.layers.Input((100,)), keras.layers.Dense(10_000)])
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)]).build()
    assert all(variable._value is None for variable in described.variables)
