"""A second model that is right about other classes, and how it is put in the place of the one that is served."""

from collections import Counter
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.card import read_card, write_card
from tests.samples import SHIPPED_MODEL


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network, but that each class has the next one's weights."""
    path = tmp_path_factory.mktemp("other") / "other.h5"
    network = keras.saving.load_model(SHIPPED_MODEL, compile=False)
    network.layers[-1].set_weights([np.roll(weights, 1, axis=-1) for weights in network.layers[-1].get_weights()])
    network.save(path)
    card = read_card(SHIPPED_MODEL)
    assert card is not None
    write_card(path, card)
    return path


def put(content: bytes, path: Path) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def outcomes(url: str) -> Counter[str]:
    """How many model files were taken and how many refused, as the service counts them."""
    text = httpx.get(f"{url}/metrics", timeout=30).text
    return Counter(
        {
            sample.labels["outcome"]: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "keras_service_model_reloads_total"
        }
    )
