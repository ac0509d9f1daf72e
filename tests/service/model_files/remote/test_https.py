"""A model at a web address: whole or not at all, within bounds, asked for again only where it changed."""

import hashlib
import logging
import shutil
import ssl
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.card import ModelFileError
from service.model_address import shown
from service.model_files.remote.polling import polling
from service.model_files.remote.source import SourceUnavailable
from tests.service.model_files.remote.conftest import RemoteOf
from tests.service.model_files.remote.web_server import WebServer, web_server

# What a model file begins with is all that is looked at here.
ONE, TWO = (b"\x89HDF\r\n\x1a\n" + bytes([number]) * 5000 for number in (1, 2))
PLACE = "/models/hats.h5"


def nothing_left(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file()]


def test_the_file_and_what_stands_beside_it_are_fetched(web: WebServer, remote_of: RemoteOf) -> None:
    web.files = {PLACE: ONE, "/models/labels.txt": b"cat\ndog\n", "/models/hats.card.json": b"{}"}
    model = remote_of(f"{web.url}{PLACE}?version=3")
    assert model.fetch()
    assert model.path.name == "hats.h5"
    assert model.path.read_bytes() == ONE
    assert {path.name for path in model.path.parent.iterdir()} == {"hats.h5", "labels.txt", "hats.card.json"}
    assert web.asked[0][0] == f"{PLACE}?version=3"
    assert "/models/labels.txt" in [path for path, _, _ in web.asked]  # what signs one address signs no other


def test_what_did_not_change_is_not_sent_again(web: WebServer, remote_of: RemoteOf) -> None:
    web.files = {PLACE: ONE}
    model = remote_of(web.url + PLACE)
    assert [model.fetch(), model.fetch()] == [True, False]
    assert web.asked[-1][1] == 304
    web.files = {PLACE: TWO, "/models/labels.txt": b"cat\ndog\n"}
    assert model.fetch()
    assert model.path.read_bytes() == TWO
    assert model.path.with_name("labels.txt").exists()
    web.files = {PLACE: ONE}  # labels of another version would be wrong
    assert model.fetch()
    assert not model.path.with_name("labels.txt").exists()


def test_a_server_without_etags_is_asked_in_full_and_the_same_file_is_not_another(
    web: WebServer, remote_of: RemoteOf
) -> None:
    web.files, web.without_etag = {PLACE: ONE}, True
    model = remote_of(web.url + PLACE)
    assert [model.fetch(), model.fetch()] == [True, False]
    web.files = {PLACE: TWO}
    assert model.fetch()


def test_half_a_file_is_none_and_the_whole_one_before_stays(
    web: WebServer, remote_of: RemoteOf, tmp_path: Path
) -> None:
    web.files, web.cut_short = {PLACE: ONE}, {PLACE}
    model = remote_of(web.url + PLACE)
    with pytest.raises(SourceUnavailable, match=r"hats\.h5 cannot be fetched: RemoteProtocolError"):
        model.fetch()
    assert nothing_left(tmp_path / "fetched")
    web.cut_short = set()
    model.fetch()
    web.files, web.cut_short = {PLACE: TWO}, {PLACE}
    with pytest.raises(SourceUnavailable):
        model.fetch()
    assert model.path.read_bytes() == ONE


@pytest.mark.parametrize("declared", [True, False])
def test_more_bytes_than_may_be_are_refused_also_where_nobody_declares_them(
    web: WebServer, remote_of: RemoteOf, tmp_path: Path, declared: bool
) -> None:
    web.files = {PLACE: ONE}
    if not declared:
        import gzip  # noqa: PLC0415

        web.files = {PLACE: gzip.compress(ONE)}
        web.headers = {PLACE: {"Content-Encoding": "gzip"}}
    with pytest.raises(ModelFileError, match=r"more than the 5,000 of --max-model-bytes"):
        remote_of(web.url + PLACE, max_bytes=5000).fetch()
    assert nothing_left(tmp_path / "fetched")


def test_a_file_that_is_packed_twice_is_not_unpacked(web: WebServer, remote_of: RemoteOf) -> None:
    web.files, web.headers = {PLACE: ONE}, {PLACE: {"Content-Encoding": "gzip, gzip"}}
    with pytest.raises(SourceUnavailable, match="comes as gzip, gzip, which is not unpacked"):
        remote_of(web.url + PLACE).fetch()


def test_a_file_beside_the_model_that_fails_once_is_asked_for_again(web: WebServer, remote_of: RemoteOf) -> None:
    web.files, labels = {PLACE: ONE}, "/models/labels.txt"
    model = remote_of(web.url + PLACE)
    model.fetch()
    web.files, web.statuses = {PLACE: TWO, labels: b"cat\ndog\n"}, {labels: 503}
    with pytest.raises(SourceUnavailable, match="503"):
        model.fetch()
    assert model.path.read_bytes() == ONE
    web.statuses = {}
    assert model.fetch()
    assert model.path.read_bytes() == TWO


def test_a_web_page_in_place_of_a_file_beside_the_model_is_none(web: WebServer, remote_of: RemoteOf) -> None:
    page, labels = b"<!doctype html>\n<title>Home</title>\n", "/models/labels.txt"
    web.files, web.headers = {PLACE: ONE, labels: page}, {labels: {"Content-Type": "text/html; charset=utf-8"}}
    model = remote_of(web.url + PLACE)
    model.fetch_first()
    assert not model.path.with_name("labels.txt").exists()


@pytest.mark.parametrize("name", ["hats.card.json", "class_indices.json"])
def test_what_cannot_be_read_beside_the_model_is_told_by_its_name_and_changes_nothing(
    web: WebServer, remote_of: RemoteOf, name: str
) -> None:
    web.files = {PLACE: ONE}
    model = remote_of(web.url + PLACE)
    model.fetch_first()
    web.files = {PLACE: TWO, f"/models/{name}": b"{no JSON"}
    with pytest.raises(ModelFileError, match=f"^beside {web.url}/models/hats.h5: {name} ") as caught:
        model.fetch()
    assert str(model.path.parent.parent) not in str(caught.value)
    assert model.path.read_bytes() == ONE
    web.files = {PLACE: TWO, f"/models/{name}": b'{"class_names": ["cat", "dog"]}' if "card" in name else b'["a", "b"]'}
    assert model.fetch()
    assert model.path.read_bytes() == TWO


def test_a_download_ends_when_its_time_is_over(web: WebServer, remote_of: RemoteOf) -> None:
    web.files = {PLACE: ONE}
    with pytest.raises(SourceUnavailable, match="of --download-timeout-s"):
        remote_of(web.url + PLACE, timeout_s=0).fetch()


def test_only_the_digest_that_was_named_is_taken(web: WebServer, remote_of: RemoteOf, tmp_path: Path) -> None:
    web.files = {PLACE: TWO}
    model = remote_of(web.url + PLACE, sha256=hashlib.sha256(ONE).hexdigest())
    told = rf"hats\.h5 has the SHA-256 {hashlib.sha256(TWO).hexdigest()}, expected"
    for status in (200, 304):  # it is not sent again before it changes
        with pytest.raises(ModelFileError, match=told):
            model.fetch()
        assert web.asked[-1][1] == status
        assert nothing_left(tmp_path / "fetched")
    web.files = {PLACE: ONE}
    assert model.fetch()


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "404 Not Found"), (500, "500 Internal Server Error"), (403, "403 Forbidden")]
)
def test_an_error_is_told_and_is_no_model(web: WebServer, remote_of: RemoteOf, status: int, reason: str) -> None:
    web.statuses = {PLACE: status}
    with pytest.raises(SourceUnavailable, match=f"its server answers {reason}"):
        remote_of(web.url + PLACE).fetch()


def test_a_web_page_in_place_of_a_model_is_told(web: WebServer, remote_of: RemoteOf) -> None:
    web.files = {PLACE: b"<!doctype html><html><body>Please log in</body></html>"}
    with pytest.raises(ModelFileError, match=r"^http://127.*hats\.h5 is refused: it is a web page"):
        remote_of(web.url + PLACE).fetch()


def test_a_copy_of_the_digest_that_was_named_is_served_while_the_source_is_away(
    web: WebServer, remote_of: RemoteOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web.files = {PLACE: ONE, "/models/labels.txt": b"cat\ndog\n"}
    sha256, kept = hashlib.sha256(ONE).hexdigest(), tmp_path / "kept"
    remote_of(web.url + PLACE, sha256=sha256, kept=kept).fetch_first()
    web.statuses = {PLACE: 500}
    shutil.rmtree(tmp_path / "fetched")
    again = remote_of(web.url + PLACE, sha256=sha256, kept=kept)
    again.fetch_first()
    assert again.path.read_bytes() == ONE
    assert again.path.with_name("labels.txt").exists()
    assert "the copy that was kept of it is served" in caplog.text
    (copy,) = kept.iterdir()
    (copy / "hats.h5").write_bytes(TWO)  # a copy that is not what it was is none
    with pytest.raises(SourceUnavailable):
        remote_of(web.url + PLACE, sha256=sha256, kept=kept).fetch_first()
    with pytest.raises(SourceUnavailable):  # without a digest nothing is kept
        remote_of(web.url + PLACE, kept=kept).fetch_first()


def test_a_copy_has_the_labels_that_its_own_source_had_last(
    web: WebServer, remote_of: RemoteOf, tmp_path: Path
) -> None:
    other = "/others/hats.h5"
    options = {"sha256": hashlib.sha256(ONE).hexdigest(), "kept": tmp_path / "kept"}
    for labels in (b"cat\ndog\n", b"dog\ncat\n"):
        web.files = {PLACE: ONE, other: ONE, "/models/labels.txt": labels, "/others/labels.txt": b"hat\ncap\n"}
        for place in (PLACE, other):
            remote_of(web.url + place, **options).fetch_first()
    web.statuses = {PLACE: 503, other: 503}
    for place, labels in ((PLACE, b"dog\ncat\n"), (other, b"hat\ncap\n")):
        model = remote_of(web.url + place, **options)
        model.fetch_first()
        assert model.path.with_name("labels.txt").read_bytes() == labels


def test_redirects_stay_at_one_origin_or_lead_to_https(web: WebServer, remote_of: RemoteOf) -> None:
    web.files = {PLACE: ONE}
    web.redirects = {"/latest": PLACE}
    assert remote_of(f"{web.url}/latest").fetch()
    web.redirects = {"/latest": "/latest"}
    with pytest.raises(SourceUnavailable, match="redirects more than 5 times"):
        remote_of(f"{web.url}/latest").fetch()
    with web_server() as other:
        other.files = {PLACE: TWO}
        for elsewhere in (other.url + PLACE, "file:///etc/passwd", "ftp://127.0.0.1/x"):
            web.redirects = {"/latest": elsewhere}
            with pytest.raises(SourceUnavailable, match="which is not followed"):
                remote_of(f"{web.url}/latest").fetch()
        assert other.asked == []


def test_credentials_are_used_and_told_to_nobody(
    web: WebServer, remote_of: RemoteOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "service")
    caplog.set_level(logging.INFO)
    web.files, web.redirects = {PLACE: ONE}, {"/latest": PLACE}
    address = web.url.replace("://", "://anna:s3cret@") + "/latest?sig=abc123"
    model = remote_of(address)
    assert model.fetch()
    assert all(headers["authorization"].startswith("Basic ") for _, _, headers in web.asked)
    web.statuses, web.redirects = {"/latest": 500}, {}
    with pytest.raises(SourceUnavailable) as refused:
        model.fetch()
    said = caplog.text + str(refused.value) + model.shown + shown(address)
    assert not [secret for secret in ("anna", "s3cret", "abc123") if secret in said]
    assert model.shown == f"{web.url}/latest?…"


def test_polling_fetches_what_changed_and_survives_what_fails(
    web: WebServer, remote_of: RemoteOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service")
    web.files = {PLACE: ONE}
    model = remote_of(web.url + PLACE)
    model.fetch_first()
    with polling(model, 0.01):
        web.wait_for(PLACE, 304)
        web.statuses = {PLACE: 500}
        web.wait_for(PLACE, 500, 2)
        assert model.path.read_bytes() == ONE
        web.files, web.statuses = {PLACE: TWO}, {}
        web.wait_for(PLACE, 304)
    assert model.path.read_bytes() == TWO
    told = [record.message for record in caplog.records if "its server answers 500" in record.message]
    assert len(told) == 1
    assert told[0].endswith("; what was fetched before goes on answering")
    assert f"{web.url}{PLACE} is there again" in caplog.messages


def test_https_is_checked_by_certificates(remote_of: RemoteOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "hats.h5").write_bytes(ONE)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(tmp_path / "site"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that leaves is meant
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        address = f"https://localhost:{server.server_address[1]}/hats.h5"
        with pytest.raises(SourceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            remote_of(address).fetch()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        model = remote_of(address)
        assert [model.fetch(), model.fetch()] == [True, False]  # its Last-Modified tells
        assert model.path.read_bytes() == ONE
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
