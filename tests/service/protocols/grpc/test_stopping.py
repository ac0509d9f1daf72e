"""Start and end: a busy port, two workers at one port, and no accepted call that is lost."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
import psutil
import pytest

from tests.processes import FAKE_ENGINE, Service, run_to_end, wait_for_all, workers_of
from tests.service.protocols.grpc.serving import INFERENCE, infer, infer_request, running_grpc, wait_until_begun

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@pytest.mark.parametrize("shared", [False, True])
def test_a_busy_port_is_told_in_one_line_before_anything_is_loaded(shared: bool) -> None:
    with socket.socket() as busy:
        if shared:
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = run_to_end("service", *FAKE_ENGINE, "--port", 0, "--grpc-port", port)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert f"port {port} of 127.0.0.1 is in use; end what listens there, or take another --grpc-port" in line


def test_a_second_service_does_not_get_a_share_of_the_firsts_port(fake: tuple[Service, str]) -> None:
    port = fake[1].rpartition(":")[2]
    done = run_to_end("service", *FAKE_ENGINE, "--port", 0, "--grpc-port", port)
    assert done.returncode == 3
    assert "--grpc-port" in done.stderr


def test_a_package_that_is_missing_is_named_with_what_to_install() -> None:
    code = (
        "import importlib.util, sys, runpy; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'grpc_health' else found(name, *more)\n"
        "sys.argv = ['cnn-serve', '--port', '0', '--grpc-port', '0']\n"
        "from service.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "grpc_health" in line
    assert "pip install 'keras-image-service[grpc]'" in line


def test_accepted_calls_are_answered_and_later_ones_are_not_taken() -> None:
    with running_grpc(*FAKE_ENGINE, "--batch-wait-ms", 1000) as (service, address):
        with grpc.insecure_channel(address) as channel:
            calls = [infer(channel).future(infer_request()) for _ in range(30)]
            wait_until_begun(channel)
            service.process.send_signal(signal.SIGTERM)
            assert {call.code() for call in calls} == {grpc.StatusCode.OK}
            assert service.process.wait(30) == 0
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            infer(channel)(infer_request())
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_call_that_was_sent_before_the_signal_is_answered_though_the_process_stood_still() -> None:
    with running_grpc(*FAKE_ENGINE) as (service, address), grpc.insecure_channel(address) as channel:
        infer(channel)(infer_request())
        service.process.send_signal(signal.SIGSTOP)
        calls = [infer(channel).future(infer_request()) for _ in range(20)]
        with pytest.raises(grpc.FutureTimeoutError):
            calls[-1].result(0.5)  # they are on their way by then
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGCONT)
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 20
        assert service.process.wait(30) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_each_call_is_answered_or_refused_and_none_is_lost(workers: int) -> None:
    with running_grpc(*FAKE_ENGINE, "--workers", workers, "--access-log") as (service, address):
        wait_for_all(service, workers)
        port = int(address.rpartition(":")[2])
        answering = workers_of(service) or [psutil.Process(service.process.pid)]
        assert len(answering) == workers
        for process in answering:
            listening = [one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
            assert port in listening

        async def call_until_refused(codes: Counter[grpc.StatusCode]) -> None:
            async with grpc.aio.insecure_channel(address, OWN_CONNECTION) as channel:
                code = None
                while code is not grpc.StatusCode.UNAVAILABLE:
                    call = infer(channel)(infer_request())
                    code = await call.code()
                    codes[code] += 1
                    if codes.total() == 500:
                        service.process.send_signal(signal.SIGTERM)

        async def load() -> Counter[grpc.StatusCode]:
            codes: Counter[grpc.StatusCode] = Counter()
            await asyncio.gather(*(call_until_refused(codes) for _ in range(16)))
            return codes

        codes = asyncio.run(load())
        assert service.process.wait(30) == 0
        service.read_to_the_end()
        assert codes.keys() == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert service.rest_of_log.count(f"{INFERENCE}/ModelInfer OK in") == codes[grpc.StatusCode.OK]


def test_connections_are_encrypted_where_https_is(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "30",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    certificate = tmp_path / "certificate.pem"
    tls = ("--tls-certificate", certificate, "--tls-key", tmp_path / "key.pem")
    with running_grpc(*FAKE_ENGINE, *tls) as (_, address):
        trusting = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(address, trusting) as channel:
            assert infer(channel)(infer_request()).outputs
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            infer(channel)(infer_request(), timeout=60)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
