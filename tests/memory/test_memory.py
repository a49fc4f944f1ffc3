"""Memory: known before a run, kept to by a real process, and when it runs out the run goes on."""

from __future__ import annotations

import copy
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nst_utils as nst
from nst_utils.memory import available, estimate, step_down
from nst_utils.memory.step_down import WithinMemory
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Row
from nst_utils.support import checks

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"conv1_1": 0.5, "conv2_1": 0.5}
CPU = torch.device("cpu")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")


def row(content: Tensor, style: Tensor) -> Row:
    return Row(content, style, {"conv2_2": 1.0}, LAYERS, 1e-2, 1.0)


def blank(height: int, width: int) -> Row:
    """A row that is only looked at for its sizes: no memory is taken for its pictures."""
    picture = torch.zeros(1).expand(1, 3, height, width)
    return Row(picture, picture, {"conv4_2": 1.0}, {"conv5_1": 1.0}, 1.0, 1.0)


# What there is.


def test_there_is_some_memory_here() -> None:
    free = available.available(CPU)
    assert free is not None
    assert 10**8 < free < 10**14


@pytest.mark.parametrize(
    ("share", "expected"), [(None, 25), (1.0, 25), (0.5, 25), (0.3, 15), (0.1, 0)]
)
def test_of_a_gpu_what_the_process_may_have(
    share: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 bytes 20 are free, 20 reserved by torch, 15 of these in use, the rest others'."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 15)
    asked = "get_per_process_memory_fraction"
    if share is None:
        monkeypatch.delattr(torch.cuda, asked, raising=False)
    else:
        monkeypatch.setattr(torch.cuda, asked, lambda _: share, raising=False)
    assert available.available(torch.device("cuda", 0)) == expected


def test_of_a_machine_what_it_calls_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=20 * 1024))
    assert available.available(CPU) == 20 * 1024


@linux
@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_of_a_process_its_limit_less_what_it_has(kind: int) -> None:
    has = psutil.Process().memory_info()
    used = has.vms if kind == resource.RLIMIT_AS else has.data
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (used + 10**9, hard))
    try:
        left = min(available._of_process())
    finally:
        resource.setrlimit(kind, (soft, hard))
    assert 0.9 * 10**9 < left < 1.1 * 10**9


def test_of_a_container_its_limit_less_what_it_uses_but_for_cached_files(tmp_path: Path) -> None:
    group = {
        "memory.max": "1000\n",
        "memory.current": "700\n",
        "memory.stat": "anon 600\ninactive_file 90\nactive_file 10\n",
    }
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/host/name\n")
    for folder in ("", "host"):
        (tmp_path / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
    for name, text in group.items():
        (tmp_path / "sys/fs/cgroup" / name).write_text(text)
    assert list(available._of_groups(tmp_path)) == [390]
    (tmp_path / "sys/fs/cgroup/host/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/host/memory.current").write_text("5\n")
    assert list(available._of_groups(tmp_path)) == [390]
    (tmp_path / "sys/fs/cgroup/host/memory.max").write_text("6\n")
    assert sorted(available._of_groups(tmp_path)) == [1, 390]


def test_of_control_groups_of_the_first_version_too(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("5:cpu:/a\n4:memory:/a/b\n0::/\n")
    group = tmp_path / "sys/fs/cgroup/memory/a"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1000\n")
    (group / "memory.usage_in_bytes").write_text("900\n")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 50\n")
    (group.parent / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (group.parent / "memory.usage_in_bytes").write_text("900\n")
    assert list(available._of_groups(tmp_path)) == [150]


# What will be needed.


def of_one_thread() -> dict[str, str]:
    """The environment of a process that is measured. Dask, which other tests start, leaves
    MALLOC_TRIM_THRESHOLD_ in this one; with it a run takes a third less."""
    others = {name: each for name, each in os.environ.items() if not name.startswith("MALLOC_")}
    return others | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


@linux
@pytest.mark.parametrize("case", [{"size": 288}])
def test_the_estimate_is_near_what_a_real_process_needs(case: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "memory.py", "--one", json.dumps(case)],
        check=True,
        capture_output=True,
        env=of_one_thread(),
    )
    told = json.loads(done.stdout)
    assert 0.8 < told["estimate"] / told["peak"] < 1.4, told


@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from(["lbfgs", "adam"]))
@settings(deadline=None, max_examples=30)
def test_the_estimate_grows_with_the_picture(height: int, width: int, optimizer: str) -> None:
    net, size, larger = _network(), (height, width), (height + 16, width)
    need = estimate.estimate(net, [blank(*size)], size, optimizer)
    assert 0 < need < estimate.estimate(net, [blank(*larger)], larger, optimizer)
    assert need < estimate.estimate(net, [blank(*size)] * 2, size, optimizer)
    tiled = estimate.estimate(net, [blank(*size)], size, optimizer, tile=256)
    assert tiled < need or max(size) < 3 * 256


_loaded: list[Network] = []


def _network() -> Network:
    if not _loaded:
        _loaded.append(nst.vgg19())
    return _loaded[0]


def refusal(
    net: Network, free: float, size: tuple[int, int], pictures: int = 1, **options: Any
) -> str:
    """What is said where only so many bytes are free."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "available", lambda _: int(free))
        with pytest.raises(ValueError, match="are free; use") as caught:
            estimate.check_fits(net, [blank(*size)] * pictures, size, "lbfgs", **options)
    return str(caught.value)


def test_what_is_proposed_fits_and_a_pixel_more_does_not(net: Network) -> None:
    size, free = (1500, 2000), 4e9
    said = refusal(net, free, size)
    assert re.match(
        r"a picture of 2000x1500 px needs about \d+\.\d GB of memory here, but 4.0", said
    )
    found = re.search(r"use tiles of (\d+) px.* \(tile=(\d+)\), or pictures .*\(size=(\d+)\)", said)
    assert found is not None
    tile, again, side = map(int, found.groups())
    assert tile == again
    assert estimate.estimate(net, [blank(*size)], size, tile=tile) <= free
    for longest, fits in ((side, True), (side + 2, False)):
        scaled = (round(longest * 0.75), longest)
        assert (estimate.estimate(net, [blank(*scaled)], scaled) <= free) is fits


def test_only_what_helps_is_proposed(net: Network) -> None:
    assert "tiles" not in refusal(net, 1e9, (1500, 2000), tile=128)
    assert "use a machine with more memory" in refusal(net, 1e5, (64, 64))
    assert "fewer pictures in one run" in refusal(net, 2.5e9, (512, 512), pictures=20)
    assert "fewer" not in refusal(net, 0.6e9, (512, 512), pictures=20)


@pytest.mark.parametrize("way", ["transfer", "reconstruct_content", "reconstruct_style"])
def test_every_experiment_is_checked_before_it_starts(
    way: str, net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "available", lambda _: 10**6)
    pictures = (content, style) if way == "transfer" else (content,)
    with pytest.raises(ValueError, match=r"needs about 0\.\d GB of memory here, but 0\.0 GB are"):
        getattr(nst, way)(*pictures, net=net, progress=False)


# When it runs out.


def scarce(
    monkeypatch: pytest.MonkeyPatch, most: Callable[[Network], int], error: Exception
) -> list[tuple[int, int, int]]:
    """Let the network run out of memory above so many values; lists what it was given."""
    given: list[tuple[int, int, int]] = []
    original = Network.forward

    def forward(self: Network, images: Tensor, layers: list[str]) -> dict[str, Tensor]:
        if images.numel() > most(self):
            raise error
        given.append((len(images), images.shape[2], images.shape[3]))
        return original(self, images, layers)

    monkeypatch.setattr(Network, "forward", forward)
    return given


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("could not create a primitive"),  # oneDNN's word for it
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB)"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_picture_is_cut_smaller_until_it_fits(
    error: Exception,
    thin_net: Network,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    content, style = nst.noise_image(300, 40, std=0.2), nst.noise_image(70, 50, std=0.2, seed=1)
    objective = WithinMemory(thin_net, [row(content, style)])
    image = nst.noise_image(300, 40, seed=2)
    whole = objective.evaluate(image)
    given = scarce(monkeypatch, lambda _: 3 * 120 * 40, error)
    for _ in range(2):
        tiled = objective.evaluate(image)
        assert (tiled.gradient - whole.gradient).norm() < 1e-5 * whole.gradient.norm()
    assert capfd.readouterr().err.splitlines() == [
        f"nst: memory ran out; from here on the network sees tiles of {side} px, which takes longer"
        for side in (150, 128)
    ]
    assert max(height for _, height, _ in given) <= 120


def test_a_painting_is_cut_too(
    thin_net: Network,
    content: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    style = nst.noise_image(60, 700, std=0.2)
    image = nst.noise_image(*content.shape[2:])
    whole = WithinMemory(thin_net, [row(content, style)]).evaluate(image)
    scarce(monkeypatch, lambda _: 3 * 60 * 400, ERRORS[0])
    tiled = WithinMemory(thin_net, [row(content, style)]).evaluate(image)
    torch.testing.assert_close(tiled.loss, whole.loss, rtol=1e-5, atol=0)
    assert capfd.readouterr().err.count("tiles of 350 px") == 1


@pytest.mark.parametrize(
    ("fit", "groups", "said"),
    [(3, [2, 2, 1], "2 pictures at a time go"), (1, [1] * 5, "one picture at a time goes")],
)
def test_on_a_gpu_first_fewer_pictures_at_a_time(
    fit: int,
    groups: list[int],
    said: str,
    thin_net: Network,
    content: Tensor,
    style: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    objective = WithinMemory(thin_net, [row(content, style)] * 5)
    monkeypatch.setattr(objective, "at_once", None)
    size = (content.shape[2], content.shape[3])
    images = torch.cat([nst.noise_image(*size, seed=seed) for seed in range(5)])
    together = objective.evaluate(images)
    given = scarce(monkeypatch, lambda _: fit * content.numel(), ERRORS[0])
    apart = objective.evaluate(images)
    assert [number for number, *_ in given] == groups
    torch.testing.assert_close(apart.loss, together.loss)
    torch.testing.assert_close(apart.gradient, together.gradient, rtol=1e-3, atol=1e-8)
    assert said in capfd.readouterr().err


def test_in_the_end_the_work_moves_to_the_cpu(
    thin_net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A network on the device "meta" stands for one on a GPU, which is too small for anything."""
    on_gpu = copy.deepcopy(thin_net).to("meta")
    scarce(monkeypatch, lambda its: 0 if its.mean.is_meta else 10**9, ERRORS[0])
    monkeypatch.setattr(step_down, "on_device", lambda its, device: thin_net.to(device))
    wanted = WithinMemory(thin_net, [row(content, style)]).evaluate(content)
    objective = WithinMemory(on_gpu, [row(content, style)], may_move=True)
    assert objective.device == CPU
    assert torch.equal(objective.evaluate(content).gradient, wanted.gradient)
    objective.net = on_gpu  # so that it happens in the middle of a run
    assert torch.equal(objective.evaluate(content).gradient, wanted.gradient)
    assert capfd.readouterr().err.count("the network runs on the CPU, which takes longer") == 2
    with pytest.raises(MemoryError, match="not enough memory"):
        WithinMemory(on_gpu, [row(content, style)])


def test_when_nothing_is_left_it_is_a_sentence(
    thin_net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = WithinMemory(thin_net, [row(content, style)])
    scarce(monkeypatch, lambda _: 100, ERRORS[1])
    with pytest.raises(MemoryError, match="however a picture is cut; use a smaller size"):
        objective.evaluate(content)


def test_another_error_is_not_taken_for_it(
    thin_net: Network, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = WithinMemory(thin_net, [row(content, style)])
    scarce(monkeypatch, lambda _: 100, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        objective.evaluate(content)
    assert not checks.is_out_of_memory(ValueError("out of memory"))


# Real processes that may have only so much.

DRIVER = """
import json, re, resource, sys
import torch
import nst_utils as nst
from nst_utils.cli import parser
from nst_utils.memory import estimate

def limit(more):
    has = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (has + more * 2**20, resource.RLIM_INFINITY))
"""


def process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=of_one_thread(),
        timeout=300,
    )


@linux
def test_a_picture_too_large_for_the_process_ends_in_a_line_before_the_run(tmp_path: Path) -> None:
    code = "limit(1800); sys.exit(parser.main(sys.argv[1:]))"
    out = tmp_path / "out.png"
    options = ("--size", 1024, "--steps", 1, "--init", "content", "-o", out)
    done = process(code, "transfer", "chenonceau", "starry-night", *options)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    found = re.search(
        r"nst: a picture of 1024x768 px needs .* \(--size (\d+)\)$", done.stderr.strip()
    )
    assert found is not None, done.stderr
    assert 200 < int(found[1]) < 1000
    assert not out.exists()


# So that it is the responses that take the memory, not the kernels of deep layers.
SHALLOW: dict[str, Any] = {"content_layers": ["conv1_2"], "style_layers": ["conv1_1"]}
# What is enough differs from machine to machine, so it is searched by halves; at 448 px the room
# between too little and enough for the whole is wide. Each limit is that of a process of its own,
# made from one that has loaded everything.
SCARCE = """
import os, sys
estimate.available = lambda device: 10**15  # as if there were enough
path, pictures, settings, said = sys.argv[1:]
net = nst.vgg19()
def said_with(more):
    child = os.fork()
    if not child:
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
        limit(more)
        result = nst.transfer(*torch.load(pictures), net=net, **json.loads(settings))
        torch.save(result.image, path)
        sys.exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, open(said).read().splitlines()
tried = []
for _ in range(3):  # what a process needs varies a little
    little, enough = 64, 448
    while enough - little > 2:
        more = (little + enough) // 2
        code, lines = said_with(more)
        tried.append((more, code, lines[-1:]))
        if code == 0 and not lines:
            enough = more
        elif code == 0 and "stopped" not in lines[-1]:
            sys.exit(0)
        else:  # so little that Python itself may have failed
            assert code or "there is not enough memory" in lines[-1], tried
            little = more
sys.exit(f"no limit was found at which it goes on in tiles: {tried}")
"""


@linux
def test_a_run_that_runs_out_of_memory_ends_with_the_same_picture(
    net: Network, tmp_path: Path
) -> None:
    content, style = (nst.load_image(name, 448) for name in ("chelsea", "starry-night"))
    content, style = nst.resize(content, (448, 448)), style[..., :100, :100].clone()
    run: dict[str, Any] = {
        "steps": 1,
        "exact": True,
        "style_weight": 10.0,
        "progress": False,
        "device": "cpu",
    }
    torch.save([content, style], tmp_path / "pictures.pt")
    out = tmp_path / "out.pt"
    said = tmp_path / "said.txt"
    settings = json.dumps(SHALLOW | run)
    done = process(SCARCE, out, tmp_path / "pictures.pt", settings, said)
    assert done.returncode == 0, done.stderr
    lines = said.read_text().splitlines()
    assert all(re.match(r"nst: memory ran out; from here on .* tiles of \d+ px", x) for x in lines)
    wanted = nst.transfer(content, style, net=net, **SHALLOW, **run).image
    difference = (torch.load(out) - wanted).abs()
    assert difference.mean() < 1e-4
    assert difference.max() < 5 / 255
