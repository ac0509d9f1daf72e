"""A model in a repository of the Hugging Face Hub, of which a web server has what its clients ask for."""

from importlib.util import find_spec

import pytest

from models.card import ModelFileError
from service.model_files.remote.source import SourceUnavailable
from tests.samples import left_out_without
from tests.service.model_files.remote.conftest import RemoteOf
from tests.service.model_files.remote.web_server import WebServer

pytestmark = [left_out_without(find_spec("huggingface_hub") is not None, "huggingface_hub")]
ONE, TWO = (b"\x89HDF\r\n\x1a\n" + bytes([number]) * 5000 for number in (1, 2))


@pytest.fixture
def hub(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> WebServer:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", web.url)  # which it reads when it is imported
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", web.url + TEMPLATE)
    monkeypatch.setenv("HF_TOKEN", "hf_s3cret")
    return web


TEMPLATE = "/{repo_id}/resolve/{revision}/{filename}"


def commit(hub: WebServer, branch: str, sha: str, **files: bytes) -> None:
    """Have `files`, of a folder `nets`, at the branch and at the commit."""
    for revision in (branch, sha):
        for stem, content in files.items():
            place = f"/anna/hats/resolve/{revision}/nets/{stem.replace('_', '.')}"
            hub.files[place], hub.headers[place] = content, {"X-Repo-Commit": sha}


def test_a_file_is_fetched_at_its_revision_and_again_when_it_changed(hub: WebServer, remote_of: RemoteOf) -> None:
    commit(hub, "v1", "a" * 40, hats_h5=ONE, labels_txt=b"cat\ndog\n")
    model = remote_of("hf://anna/hats/nets/hats.h5@v1")
    assert [model.fetch(), model.fetch()] == [True, False]
    assert model.path.read_bytes() == ONE
    assert model.path.with_name("labels.txt").read_text() == "cat\ndog\n"
    sent = {headers.get("authorization") for path, _, headers in hub.asked if "/resolve/" in path}
    assert sent == {"Bearer hf_s3cret"}
    downloads = [path for path, status, headers in hub.asked if status == 200 and "accept" in headers]
    assert f"/anna/hats/resolve/{'a' * 40}/nets/hats.h5" in downloads  # what is moved meanwhile does no harm
    commit(hub, "v1", "b" * 40, hats_h5=ONE)
    assert not model.fetch()  # another commit with the same file
    commit(hub, "v1", "c" * 40, hats_h5=TWO)
    assert model.fetch()
    assert model.path.read_bytes() == TWO


def test_without_a_revision_it_is_the_main_one(hub: WebServer, remote_of: RemoteOf) -> None:
    commit(hub, "main", "a" * 40, hats_h5=ONE)
    assert remote_of("hf://anna/hats/nets/hats.h5").fetch()


def test_what_is_not_there_or_too_large_is_told_without_the_token(hub: WebServer, remote_of: RemoteOf) -> None:
    with pytest.raises(SourceUnavailable, match=r"hf://anna/hats/nets/hats\.h5@v1 cannot be fetched") as refused:
        remote_of("hf://anna/hats/nets/hats.h5@v1").fetch()
    assert "s3cret" not in str(refused.value)
    commit(hub, "v1", "a" * 40, hats_h5=ONE)
    with pytest.raises(ModelFileError, match=r"5,008 bytes, more than the 5,000 of --max-model-bytes"):
        remote_of("hf://anna/hats/nets/hats.h5@v1", max_bytes=5000).fetch()
