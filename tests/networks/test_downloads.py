"""Weights arrive whole or not at all, from a real server with every fault, and a retry works."""

from __future__ import annotations

import hashlib
import io
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from places import SmallDisk, unprivileged
from torchvision.models import SqueezeNet1_1_Weights

import nst_utils as nst
from nst_utils.networks import downloads
from nst_utils.networks.downloads import download_from_torchvision

Fault = Callable[["Handler", bytes], None]
NETWORK = "squeezenet1_1"


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.content``, with the fault ``server.fault`` where there is one."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.fault(self, self.server.content)

    def begin(self, length: int | None) -> None:
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def no_fault(handler: Handler, content: bytes) -> None:
    handler.begin(len(content))
    handler.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked = content, 0
        self.fault: Fault = no_fault
        self.done = threading.Event()


@pytest.fixture(scope="module")
def content() -> bytes:
    """The file of a SqueezeNet with random numbers, in half precision."""
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1(weights=None).half()
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture
def server(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; torchvision's address of the weights is its own."""
    with Server(content) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        digest = hashlib.sha256(content).hexdigest()
        url = f"http://127.0.0.1:{running.server_port}/models/{NETWORK}-{digest[:8]}.pth"
        monkeypatch.setattr(SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", url)
        yield running
        running.done.set()
        running.shutdown()


@pytest.fixture
def cached(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file is to lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = SqueezeNet1_1_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    return tmp_path / "torch" / "hub" / "checkpoints" / name


def complaint() -> str:
    """The sentence of a download that fails."""
    with pytest.raises(
        ValueError, match=r"\A.*torchvision's weights of squeezenet1_1.*\Z"
    ) as caught:
        download_from_torchvision(NETWORK)
    return str(caught.value)


def test_weights_are_downloaded_once_and_used(
    server: Server, cached: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = torch.rand(1, 3, 40, 40)
    first = nst.squeezenet1_1("torchvision")(picture, ["fire9"])["fire9"]
    seen = capfd.readouterr()
    assert seen.out == ""
    assert cached.name in seen.err
    assert "100 %" in seen.err
    assert [path.read_bytes() for path in cached.parent.iterdir()] == [content]
    server.fault = not_found
    again = nst.squeezenet1_1("torchvision")(picture, ["fire9"])["fire9"]
    assert server.asked == 1
    assert torch.equal(first, again)


# Faults of servers and of what lies between.


def cut(handler: Handler, content: bytes) -> None:
    handler.begin(len(content))
    handler.wfile.write(content[: len(content) // 2])


def cut_without_length(handler: Handler, content: bytes) -> None:
    handler.begin(None)
    handler.wfile.write(content[: len(content) // 2])


def reset(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    handler.wfile.flush()
    # Nothing lingers: the other side gets a reset instead of an end.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, *bytes(7)]))
    handler.connection.close()


def one_wrong_bit(handler: Handler, content: bytes) -> None:
    middle = len(content) // 2
    no_fault(handler, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def login_page(handler: Handler, content: bytes) -> None:
    no_fault(handler, b"<html>Welcome to the airport</html>")


def nothing(handler: Handler, content: bytes) -> None:
    no_fault(handler, b"")


def not_found(handler: Handler, content: bytes) -> None:
    handler.send_error(404)


def broken(handler: Handler, content: bytes) -> None:
    handler.send_error(500)


def goes_in_circles(handler: Handler, content: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def no_http(handler: Handler, content: bytes) -> None:
    handler.wfile.write(b"220 ready for mail\r\n")


def hangs_up(handler: Handler, content: bytes) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def stalls(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    handler.wfile.flush()
    handler.server.done.wait(60)


def never_answers(handler: Handler, content: bytes) -> None:
    handler.server.done.wait(60)


FAULTS: dict[Fault, str] = {
    cut: "the connection was cut after",
    cut_without_length: "what came is another file",
    reset: "Connection reset",
    one_wrong_bit: "what came is another file, of SHA-256",
    login_page: "what came is another file",
    nothing: "what came is another file",
    not_found: "the server answers 404, Not Found",
    broken: "the server answers 500, Internal Server Error",
    goes_in_circles: "infinite loop",
    no_http: "220 ready for mail",
    hangs_up: "closed connection",
    stalls: "timed out",
    never_answers: "timed out",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_failed_download_is_a_sentence_and_a_retry_works(
    fault: Fault, server: Server, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault = fault
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "PATIENCE", 0.5)
        begun = time.monotonic()
        text = complaint()
        assert time.monotonic() - begun < 10
    assert FAULTS[fault] in text
    assert "check the network, or download http://127.0.0.1" in text
    assert text.endswith(f"{cached.name} by hand and give its path as weights")
    assert not list(cached.parent.iterdir())
    server.fault = no_fault
    assert len(download_from_torchvision(NETWORK)) == 52


def test_for_vgg19_the_way_out_is_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(ValueError, match=r"not known\); check .* or use the bundled ones\Z"):
        nst.vgg19("torchvision")


def test_without_a_server_it_is_a_sentence_and_later_a_retry_works(
    server: Server, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = SqueezeNet1_1_Weights.IMAGENET1K_V1.value
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        closed = weights.url.replace(str(server.server_port), str(unused.getsockname()[1]))
        with monkeypatch.context() as patch:
            patch.setattr(weights, "url", closed)
            assert "(Connection refused)" in complaint().replace("[Errno 111] ", "")
    assert len(download_from_torchvision(NETWORK)) == 52


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("fault", [stalls, never_answers])
def test_a_hanging_download_can_be_interrupted(fault: Fault, server: Server, cached: Path) -> None:
    main = threading.get_ident()

    def interrupt(handler: Handler, content: bytes) -> None:
        threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
        fault(handler, content)

    server.fault = interrupt
    with pytest.raises(KeyboardInterrupt):
        download_from_torchvision(NETWORK)
    assert not list(cached.parent.iterdir())
    server.fault = no_fault
    assert len(download_from_torchvision(NETWORK)) == 52


# What may lie in the cache.

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one bit": lambda content: content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_in_the_cache_is_downloaded_again(
    damage: str, server: Server, cached: Path, content: bytes
) -> None:
    cached.parent.mkdir(parents=True)
    cached.write_bytes(DAMAGES[damage](content))
    server.fault = not_found
    text = complaint()
    assert text.startswith(f"{cached} is damaged, and torchvision's weights")
    server.fault = no_fault
    assert len(download_from_torchvision(NETWORK)) == 52
    assert [path.read_bytes() for path in cached.parent.iterdir()] == [content]


def test_a_whole_file_in_the_cache_needs_no_server(
    server: Server, cached: Path, content: bytes
) -> None:
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    assert len(download_from_torchvision(NETWORK)) == 52
    assert server.asked == 0


def test_several_at_once_do_not_disturb_each_other(
    server: Server, cached: Path, content: bytes
) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(download_from_torchvision(NETWORK))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [52] * 4
    assert [path.read_bytes() for path in cached.parent.iterdir()] == [content]


@pytest.mark.parametrize("place", ["torch", "torch/hub", "torch/hub/checkpoints"])
def test_a_cache_that_is_a_file_is_a_sentence(place: str, cached: Path, tmp_path: Path) -> None:
    blocked = tmp_path / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_bytes(b"mine")
    text = complaint()
    assert str(blocked) in text
    assert text.endswith("another folder for them in the environment variable TORCH_HOME")
    assert blocked.read_bytes() == b"mine"
    blocked.unlink()
    assert len(download_from_torchvision(NETWORK)) == 52


def test_a_folder_in_the_files_place_is_a_sentence(cached: Path) -> None:
    cached.mkdir(parents=True)
    assert f"{cached} is a folder" in complaint()
    cached.rmdir()
    assert len(download_from_torchvision(NETWORK)) == 52


def test_a_read_only_cache_serves_what_it_holds(
    server: Server, cached: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unprivileged() as folder:
        monkeypatch.setenv("TORCH_HOME", str(folder))
        cache = folder / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        cache.chmod(0o555)
        assert f"cannot write into {cache}: Permission denied" in complaint()
        assert not list(cache.iterdir())
        cache.chmod(0o755)
        (cache / cached.name).write_bytes(content)
        cache.chmod(0o555)
        asked = server.asked
        assert len(download_from_torchvision(NETWORK)) == 52
        assert server.asked == asked
        cache.chmod(0o755)


def test_a_disk_that_is_full_in_the_middle_is_a_sentence(
    cached: Path, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    disk = SmallDisk(tmp_path / "torch", "1m")
    try:
        text = complaint()
        assert "could not be stored" in text
        assert f"{cached} could not be written: the disk is full" in text
        assert text.endswith("in the environment variable TORCH_HOME")
        assert not list(cached.parent.iterdir())
        disk.remount("size=8m")
        assert len(download_from_torchvision(NETWORK)) == 52
        assert [path.read_bytes() for path in cached.parent.iterdir()] == [content]
    finally:
        disk.unmount()
