"""Which addresses of models there are, and that none of their secrets is shown."""

import pytest
from pydantic import ValidationError

from service.model_address import check_address, scheme_of, shown
from service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        ("https://example.org/a/hats.keras?sig=1", "https"),
        ("s3://bucket/a/hats.keras", "s3"),
        ("gs://bucket/hats.keras", "gs"),
        ("gs://bucket/folder/", "gs"),
        ("hf://anna/hats/nets/hats.keras@v1.0", "hf"),
        ("hf://anna/hats/hats.keras", "hf"),
        ("models:/hats@best", "models"),
        ("models:/hats/3", "models"),
        ("models/hats.h5", None),
        ("C:/hats.h5", None),
        ("/srv/https/hats.h5", None),
    ],
)
def test_an_address_is_told_by_its_scheme(address: str, scheme: str | None) -> None:
    assert scheme_of(address) == scheme
    check_address(address)
    assert ServiceSettings(model_path=address).model_path == address


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/",
        "https://example.org/models/",
        "s3://bucket",
        "s3://key:secret@bucket/hats.keras",
        "hf://anna/hats",
        "hf://anna/hats/hats.keras@",
        "models:/hats",
        "models:/hats/latest/3",
        "https://example.org:port/hats.keras",
        "https://[::1/hats.keras",
        "ftp://example.org/hats.keras",
        "file:///srv/hats.keras",
    ],
)
def test_what_is_no_address_of_one_file_is_refused_and_an_example_given(address: str) -> None:
    with pytest.raises(ValueError, match=r"such as|is not fetched; use https://"):
        check_address(address)


def test_neither_settings_nor_lines_tell_a_secret() -> None:
    assert shown("https://anna:s3cret@example.org:8443/a/hats.keras?sig=1") == "https://example.org:8443/a/hats.keras?…"
    assert shown("https:/anna:s3cret@example.org/hats.keras") == "https://…"
    slash = "https://anna:s3cret/word@example.org/hats.keras"
    for address in ("https://anna:s3cret@example.org/?sig=s3cret", "s3://anna:s3cret@bucket/", slash):
        with pytest.raises(ValidationError) as refused:
            ServiceSettings(model_path=address)
        assert "s3cret" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "../a", "a?b", "a%20b", "hüte", "-a", ".a", "a" * 129])
def test_a_model_has_a_name_that_can_stand_in_a_url(name: str) -> None:
    with pytest.raises(ValidationError, match="model_name"):
        ServiceSettings(model_name=name)


@pytest.mark.parametrize("name", ["hats", "best-cnn-model", "hats_2.1", "7"])
def test_most_names_can(name: str) -> None:
    assert ServiceSettings(model_name=name).model_name == name
