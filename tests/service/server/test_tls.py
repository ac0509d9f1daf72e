"""HTTPS with a certificate of one's own: wrong files are told at once, and the bounds of connections hold as before."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from uvicorn.config import STARTUP_FAILURE

from service.server.tls import CertificateError, tls_context
from tests.connections import as_request, close, read_answer
from tests.processes import FAKE_ENGINE, Service, run_to_end, running_service
from tests.samples import ANKLE_BOOT

TIMEOUT_S = 3
MOST = 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and keys: the certificate's, that encrypted, and another one."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*options: str) -> None:
        subprocess.run(["openssl", *options], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout")
    openssl("req", "-x509", *new_key, "key.pem", "-out", "certificate.pem", "-days", "30",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
    openssl("pkey", "-in", "key.pem", "-aes256", "-passout", "pass:secret", "-out", "encrypted.pem")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.pem")
    (folder / "both.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    (folder / "nothing.pem").write_bytes(b"")
    return folder


@pytest.fixture(scope="module", params=[1, 2])
def encrypted(files: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    tls = ("--tls-certificate", files / "certificate.pem", "--tls-key", files / "key.pem")
    limits = ("--receive-timeout-s", TIMEOUT_S, "--max-connections", MOST)
    with running_service(*tls, *limits, "--workers", request.param, *FAKE_ENGINE) as service:
        yield service


@pytest.fixture
def trusting(files: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files / "certificate.pem")


def test_a_prediction(encrypted: Service, trusting: ssl.SSLContext) -> None:
    assert encrypted.url.startswith("https://")
    with httpx.Client(base_url=encrypted.url, verify=trusting) as client:
        for _ in range(2):
            answer = client.post("/predict", content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"})
            assert answer.status_code == 200


def test_who_is_refused_early_reads_why(encrypted: Service, trusting: ssl.SSLContext) -> None:
    address = urlsplit(encrypted.url)
    plain = socket.create_connection((address.hostname, address.port), timeout=30)
    with trusting.wrap_socket(plain, server_hostname="127.0.0.1") as caller:
        caller.sendall(as_request().replace(b"Length: 0", b"Length: 20000000"))
        for _ in range(20):
            caller.sendall(bytes(1_000_000))
        assert caller.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("begin", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_who_does_not_shake_hands_loses_the_connection(encrypted: Service, begin: bytes) -> None:
    address = urlsplit(encrypted.url)
    with socket.create_connection((address.hostname, address.port), timeout=10 * TIMEOUT_S) as caller:
        caller.sendall(begin)
        caller.recv(100)
        assert caller.recv(100) == b""


def test_and_keeps_nobody_out(encrypted: Service, trusting: ssl.SSLContext) -> None:
    address = urlsplit(encrypted.url)

    async def run() -> int:
        idle = [await asyncio.open_connection(address.hostname, address.port) for _ in range(5 * MOST)]
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=trusting)
        writer.write(as_request(ANKLE_BOOT.read_bytes()))
        status = (await read_answer(reader)).status
        for connection in (*idle, (reader, writer)):
            await close(connection)
        return status

    assert asyncio.run(run()) == 200


def test_a_key_in_the_same_file_will_do(files: Path) -> None:
    tls_context(files / "both.pem", None)


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("no-such.pem", None, "--tls-certificate .*no-such.pem cannot be read: No such file"),
        ("certificate.pem", "no-such.pem", "--tls-key .*no-such.pem cannot be read: No such file"),
        (".", None, "cannot be read: Is a directory"),
        ("certificate.pem", None, "there is no key in --tls-certificate"),
        ("nothing.pem", "key.pem", "is no certificate"),
        ("certificate.pem", "nothing.pem", "there is no key in --tls-key"),
        ("certificate.pem", "other.pem", "is not that of the first certificate"),
        ("certificate.pem", "encrypted.pem", "is encrypted"),
    ],
)
def test_what_is_wrong_with_the_files_is_told(files: Path, certificate: str, key: str | None, told: str) -> None:
    with pytest.raises(CertificateError, match=told):
        tls_context(files / certificate, files / key if key else None)


def test_before_any_model_is_looked_at(files: Path) -> None:
    ended = run_to_end(
        "service", "--port", 0, "--tls-certificate", files / "nothing.pem", "--model-path", "there-is-none.h5"
    )
    assert ended.returncode == STARTUP_FAILURE
    (line,) = ended.stderr.splitlines()
    assert "is no certificate" in line
