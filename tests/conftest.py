"""What every test may use: the network, loaded once, two small pictures, and ``nst`` in-process."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

# For torch, which reads it when it is imported, and for the processes that tests start: on such
# small pictures, threads mostly wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import pytest
import torch
from outcome import Outcome
from pretended import register
from thin import thin_vgg19
from torch import Tensor

import nst_utils as nst
from nst_utils.cli import parser
from nst_utils.networks import builders
from nst_utils.networks.weights import Weights

# By it jsonschema, which nbformat loads, knows addresses in Unicode, of which notebooks have none.
# It takes longer to load than torch.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def pytest_configure() -> None:
    matplotlib.use("Agg")
    os.environ.pop("NST_QUICK", None)
    register()


# Which files' tests go one after the other in one process: two browsers would disturb each other,
# and so would processes that are killed and processes whose memory is measured or limited. Those
# that forked.py makes come from one that has loaded torch, so one process of the tests has it.
TOGETHER = {
    "test_studio_browser.py": "browser",
    "test_notebooks_browser.py": "browser",
    "test_slides_browser.py": "browser",
    "test_kills.py": "processes",
    "test_interrupts.py": "processes",
    "test_executors.py": "processes",
    "test_memory.py": "processes",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """``--dist loadfile``, but for those groups.

    Not ``loadgroup``, which puts every test into a group of its own with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return TOGETHER.get(file.split("/")[-1], file)

    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order below, not that of the number of tests
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    places = {name: place for place, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="this machine has no CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Of what is made now nothing goes, so nothing is looked for: a fifth of the time."""
    gc.disable()
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    gc.freeze()  # what torch and the tests are made of stays: Python need not look through it again


@pytest.fixture(scope="module", autouse=True)
def freeze() -> Iterator[None]:
    """What a module has loaded stays, too: each run of a sweep would look through all of it."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Networks are built of bundled weights that were read and checked once.

    ``load_weights`` itself, and what is built of other weights, stays as it is.
    """
    load, known = builders.load_weights, functools.cache(builders.load_weights)

    def loaded(*given: Any) -> Weights:
        usual = isinstance(given[0], str) and given == ("bundled", None, "vgg19")
        return known(*given) if usual else load(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builders, "load_weights", loaded)
        yield


@pytest.fixture(scope="session")
def real_net() -> nst.Network:
    """The paper's network: bundled weights, average pooling, normalized."""
    return nst.vgg19()


@pytest.fixture(scope="session")
def net(real_net: nst.Network) -> nst.Network:
    """The paper's network, but in the folders and files that put a thin one in its place."""
    return real_net


@pytest.fixture(scope="session")
def thin_net() -> nst.Network:
    """As many layers, few filters, random weights: for tests of what goes on around a network."""
    return thin_vgg19()


@pytest.fixture(scope="session")
def plain_net() -> nst.Network:
    """The network as it was trained, but for the average pooling: not normalized."""
    return nst.vgg19(normalized=False)


@pytest.fixture(scope="session")
def content() -> Tensor:
    """A photograph, (1, 3, 43, 64)."""
    return nst.load_image("chelsea", size=64)


@pytest.fixture(scope="session")
def style() -> Tensor:
    """A painting, (1, 3, 51, 64)."""
    return nst.load_image("starry-night", size=64)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Sends one to this process, which takes it as at a terminal.

    Tests that a shell runs in the background, and their children, begin with it ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run ``nst`` in this process: ``run("transfer", "a.jpg", ...)`` -> code, out, err."""

    def command(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = parser.main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return command


@pytest.fixture
def shared_net(net: nst.Network, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let ``nst`` use the session's network instead of loading its own; lists what it asked for."""
    asked: list[dict[str, Any]] = []

    def builder(**settings: Any) -> nst.Network:
        asked.append(settings)
        return net

    monkeypatch.setattr(builders, "NETWORKS", {"vgg19": builder})
    return asked
