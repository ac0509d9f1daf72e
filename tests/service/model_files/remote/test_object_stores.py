"""A model in a bucket: S3 as moto plays it, Google's as a few lines of its JSON API play it."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

import pytest

from models.card import ModelFileError
from service.model_files.remote.remote_model import source_of
from service.model_files.remote.source import SourceUnavailable, asking
from tests.samples import left_out_without
from tests.service.model_files.remote.conftest import RemoteOf
from tests.service.model_files.remote.web_server import WebServer

ONE, TWO = (b"\x89HDF\r\n\x1a\n" + bytes([number]) * 5000 for number in (1, 2))

needs_s3 = left_out_without(all(map(find_spec, ("s3fs", "moto"))), "s3fs and moto")
needs_gcs = left_out_without(find_spec("gcsfs") is not None, "gcsfs")
# The libraries of the clouds are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 on this machine that has an empty bucket."""
    import boto3  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anna",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    yield client
    client.close()
    server.stop()


@needs_s3
def test_an_object_of_s3_is_fetched_with_what_stands_beside_it_and_again_when_it_changed(
    s3: Any, remote_of: RemoteOf
) -> None:
    s3.put_object(Bucket="shop", Key="models/hats.h5", Body=ONE)
    s3.put_object(Bucket="shop", Key="models/labels.txt", Body=b"cat\ndog\n")
    model = remote_of("s3://shop/models/hats.h5")
    assert [model.fetch(), model.fetch()] == [True, False]
    assert model.path.read_bytes() == ONE
    assert model.path.with_name("labels.txt").read_text() == "cat\ndog\n"
    s3.put_object(Bucket="shop", Key="models/hats.h5", Body=TWO)
    assert model.fetch()
    assert model.path.read_bytes() == TWO
    s3.delete_object(Bucket="shop", Key="models/hats.h5")
    with pytest.raises(SourceUnavailable, match=r"s3://shop/models/hats\.h5 cannot be fetched: FileNotFoundError"):
        model.fetch()
    assert model.path.read_bytes() == TWO


@needs_s3
def test_of_a_folder_it_is_the_only_model(s3: Any, remote_of: RemoteOf) -> None:
    s3.put_object(Bucket="shop", Key="models/hats.h5", Body=ONE)
    s3.put_object(Bucket="shop", Key="models/labels.txt", Body=b"cat\ndog\n")
    model = remote_of("s3://shop/models/")
    assert (model.shown, model.fetch()) == ("s3://shop/models/hats.h5", True)
    assert model.path.read_bytes() == ONE
    assert model.path.with_name("labels.txt").read_text() == "cat\ndog\n"
    s3.put_object(Bucket="shop", Key="models/caps.h5", Body=TWO)
    with pytest.raises(ModelFileError, match=r"s3://shop/models/ has 2 files that end in .* \(caps\.h5, hats\.h5\)"):
        remote_of("s3://shop/models/")
    with pytest.raises(ModelFileError, match=r"s3://shop/none/ "):
        remote_of("s3://shop/none/")


@needs_s3
def test_an_object_that_is_too_large_is_refused_before_it_is_read(s3: Any, remote_of: RemoteOf) -> None:
    s3.put_object(Bucket="shop", Key="hats.h5", Body=ONE)
    with pytest.raises(ModelFileError, match=r"5,008 bytes, more than the 5,000 of --max-model-bytes"):
        remote_of("s3://shop/hats.h5", max_bytes=5000).fetch()


@needs_s3
def test_an_s3_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch, s3: Any, remote_of: RemoteOf) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceUnavailable, match=r"s3://shop/hats\.h5 cannot be fetched"):
        remote_of("s3://shop/hats.h5").fetch()


def put_to_google(web: WebServer, name: str, content: bytes, generation: int) -> None:
    """As its JSON API has an object: what is said of it, and what is in it."""
    said = {
        "kind": "storage#object",
        "bucket": "shop",
        "name": name,
        "size": str(len(content)),
        "generation": str(generation),
        "etag": f"e{generation}",
        "contentType": "application/octet-stream",
        "timeCreated": "2026-11-26T10:00:00.000Z",
        "updated": "2026-11-26T10:00:00.000Z",
    }
    place = f"/storage/v1/b/shop/o/{quote(name, safe='')}"
    web.files[place] = json.dumps(said).encode()
    web.headers[place] = {"Content-Type": "application/json"}
    web.files[f"/download{place}"] = content


@needs_gcs
def test_an_object_of_google_is_fetched_and_again_when_it_changed(
    web: WebServer, remote_of: RemoteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec.config  # noqa: PLC0415

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.url)
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    put_to_google(web, "models/hats.h5", ONE, 1)
    put_to_google(web, "models/labels.txt", b"cat\ndog\n", 1)
    model = remote_of("gs://shop/models/hats.h5")
    assert [model.fetch(), model.fetch()] == [True, False]
    assert model.path.read_bytes() == ONE
    assert model.path.with_name("labels.txt").read_text() == "cat\ndog\n"
    put_to_google(web, "models/hats.h5", TWO, 2)
    assert model.fetch()
    assert model.path.read_bytes() == TWO
    web.files.clear()
    with pytest.raises(SourceUnavailable, match=r"gs://shop/models/hats\.h5 cannot be fetched"):
        model.fetch()


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("s3://shop/hats.h5", "s3fs", "s3"),
        ("gs://shop/hats.h5", "gcsfs", "gcs"),
        ("hf://anna/hats/hats.h5", "huggingface_hub", "hf"),
        ("models:/hats@best", "mlflow", "mlflow"),
    ],
)
def test_a_package_that_is_missing_is_one_line_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, address: str, package: str, extra: str
) -> None:
    monkeypatch.setattr("service.model_files.remote.source.find_spec", lambda name: None)
    with pytest.raises(ModelFileError) as refused:
        source_of(address)
    assert f"needs the package {package}, which is not installed" in str(refused.value)
    assert str(refused.value).endswith(f"pip install 'keras-image-service[{extra}]'")


def test_what_libraries_quote_of_an_address_is_told_without_its_secrets() -> None:
    with pytest.raises(SourceUnavailable) as refused, asking("s3://shop/hats.h5"):
        raise OSError("https://anna:s3cret@shop.example.org/hats.h5?X-Amz-Signature=abc123 is closed")
    assert str(refused.value) == (
        "s3://shop/hats.h5 cannot be fetched: OSError: https://…@shop.example.org/hats.h5?… is closed"
    )
