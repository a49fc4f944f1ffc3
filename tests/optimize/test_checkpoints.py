"""A run that is ended and started again: the same picture bit for bit, or a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import unprivileged
from torch import Tensor

import nst_utils as nst
from nst_utils.objective.evaluation import Group
from nst_utils.objective.rows import Weighting
from nst_utils.optimize import checkpoints
from nst_utils.optimize.checkpoints import Checkpoint, read
from nst_utils.support import paths

STEPS = 14
LAYERS: dict[str, Any] = {
    "content_layers": ["conv2_2"],
    "style_layers": ["conv1_1", "conv2_1"],
    "steps": STEPS,
    "progress": False,
}
RUNS: dict[str, dict[str, Any]] = {
    "lbfgs": {},
    "exact": {"exact": True},
    "adam": {"optimizer": "adam", "learning_rate": {1: 0.02, 5: 0.01, 9: 0.005}},
    "several pictures": {"content_weight": [1e-3, 1e-1], "init": ["noise", "content"]},
    "settles": {"tolerance": 0.2, "steps": 60},
    "diverges": {"optimizer": "adam", "learning_rate": 100.0},
}


class Death(BaseException):
    """What no code of the run may catch, like the end of its process."""


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save after every step, however long that takes."""
    monkeypatch.setattr(checkpoints, "_SHARE", 1e9)


def dying(at: int, callback: Callable[[nst.Step], object] | None = None) -> Any:
    """A callback that ends the run after a number of steps of this life."""
    made = 0

    def die(step: nst.Step) -> object:
        nonlocal made
        made += 1
        told = callback(step) if callback else None
        if made == at:
            raise Death
        return told

    return die


def same(one: nst.Result, other: nst.Result) -> bool:
    """Whether two results are equal in everything but the time they took."""
    assert one.history.keys() == other.history.keys()
    histories = [
        torch.equal(one.history[name].nan_to_num(), other.history[name].nan_to_num())
        and torch.equal(one.start[name].nan_to_num(), other.start[name].nan_to_num())
        for name in one.history
    ]
    left_out = ("seconds", "resumed", "image", "history", "start", "peak_memory_bytes")
    plain = [{k: v for k, v in vars(each).items() if k not in left_out} for each in (one, other)]
    return torch.equal(one.image, other.image) and all(histories) and plain[0] == plain[1]


def live_and_die(
    run: Callable[..., nst.Result],
    callback: Callable[[nst.Step], object] | None = None,
    seed: int = 0,
) -> tuple[nst.Result, int]:
    """Start a run again and again, each life a few steps long; its result, and how often it died.

    A life may end before it has saved anything new: the step after which it dies is not saved.
    """
    lengths = random.Random(seed)
    for deaths in range(100):
        try:
            return run(callback=dying(lengths.randint(2, 5), callback)), deaths
        except Death:
            continue
    raise AssertionError("the run never ends")


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_in_pieces_is_the_whole_run(
    name: str, net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    def run(**options: Any) -> nst.Result:
        return nst.transfer(content, style, net=net, **LAYERS | RUNS[name] | options)

    whole = run()
    pieces, deaths = live_and_die(lambda **more: run(checkpoint=tmp_path / "run", **more))
    assert deaths >= 2
    assert pieces.resumed > 0
    assert same(whole, pieces)


@pytest.mark.usefixtures("always")
def test_coarse_levels_and_new_weights_are_taken_up_again(net: nst.Network, tmp_path: Path) -> None:
    """Ten steps: two at the coarse level, eight at full size."""
    photo, painting = (nst.resize(nst.load_image(n), (128, 128)) for n in ("chelsea", "china"))

    def turn(step: nst.Step) -> Weighting | None:
        return {1: Weighting(0.5), 6: Weighting(style_layers={"conv1_1": 0.9})}.get(step.number)

    def run(**options: Any) -> nst.Result:
        return nst.transfer(photo, painting, net=net, **LAYERS | {"steps": 10} | options)

    whole = run(callback=turn)
    assert [level[2] for level in whole.levels] == [2, 8]
    pieces, deaths = live_and_die(lambda **more: run(checkpoint=tmp_path / "run", **more), turn)
    assert deaths >= 2
    assert same(whole, pieces)


@pytest.mark.usefixtures("always")
def test_reconstructions_have_checkpoints_too(
    net: nst.Network, content: Tensor, tmp_path: Path
) -> None:
    def run(**options: Any) -> nst.Result:
        layers = ["conv1_2", "conv2_2"]
        return nst.reconstruct_content(content, layers, net=net, steps=8, progress=False, **options)

    pieces, deaths = live_and_die(lambda **more: run(checkpoint=tmp_path / "run", **more))
    assert deaths
    assert same(run(), pieces)


@pytest.mark.usefixtures("always")
def test_a_run_that_went_on_in_tiles_is_taken_up_in_tiles(
    net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory runs out once, at the fifth evaluation; after the resumption it would do."""
    photo, painting = (nst.load_image(name, 160) for name in ("chelsea", "china"))
    evaluate, tiles = Group.evaluate, list[int | None]()

    def short_of_memory(self: Group, *given: Any) -> Any:
        tiles.append(given[-1])
        if len(tiles) == 5:
            raise MemoryError
        return evaluate(self, *given)

    monkeypatch.setattr(Group, "evaluate", short_of_memory)

    def run(**options: Any) -> nst.Result:
        return nst.transfer(photo, painting, net=net, exact=True, **LAYERS | options)

    whole = run()
    assert tiles[-1] == 128
    tiles.clear()
    with pytest.raises(Death):
        run(checkpoint=tmp_path / "run", callback=dying(9))
    tiles[:] = [None] * 10
    pieces = run(checkpoint=tmp_path / "run")
    assert pieces.resumed == 8
    assert set(tiles[10:]) == {128}
    assert torch.equal(whole.image, pieces.image)


@pytest.mark.usefixtures("always")
def test_random_numbers_of_a_callback_go_on_too(
    net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    def draw(step: nst.Step) -> Weighting:
        return Weighting(content_weight=float(torch.rand(())))

    def run(**options: Any) -> nst.Result:
        return nst.transfer(content, style, net=net, **LAYERS | options)

    torch.manual_seed(7)
    whole = run(callback=draw)
    torch.manual_seed(7)
    pieces, deaths = live_and_die(lambda **more: run(checkpoint=tmp_path / "run", **more), draw)
    assert deaths
    assert torch.equal(whole.image, pieces.image)


@pytest.fixture
def finished(
    net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> tuple[Callable[..., nst.Result], Path]:
    """A run that has ended, and its checkpoint."""
    path = tmp_path / "run"

    def again(**options: Any) -> nst.Result:
        settings = LAYERS | {"net": net, "style": style, "content": content, "checkpoint": path}
        return nst.transfer(**settings | {"steps": 4} | options)

    again()
    return again, path


def test_a_finished_run_is_given_back_without_a_step(
    finished: tuple[Callable[..., nst.Result], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    again, _ = finished
    whole = again(checkpoint=None)
    monkeypatch.setattr(nst.Objective, "evaluate", None)
    result = again()
    assert same(whole, result)
    assert result.resumed == 4


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("first", [2, 6])
@pytest.mark.parametrize("name", ["lbfgs", "exact", "adam", "several pictures", "diverges"])
def test_more_steps_go_on_as_if_they_had_been_asked_for_at_once(
    name: str, first: int, net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    """After a run of 6 steps that has ended, and after one that died at its third."""

    def run(**options: Any) -> nst.Result:
        return nst.transfer(content, style, net=net, **LAYERS | RUNS[name] | options)

    if first == 2:
        with pytest.raises(Death):
            run(steps=6, checkpoint=tmp_path / "run", callback=dying(3))
    else:
        run(steps=6, checkpoint=tmp_path / "run")
    more = run(steps=10, checkpoint=tmp_path / "run")
    assert more.resumed == first
    assert same(run(steps=10), more)
    assert same(more, run(steps=10, checkpoint=tmp_path / "run")), "it is a finished one again"


@pytest.mark.usefixtures("always")
def test_steps_can_be_changed_once_the_coarse_levels_are_over(
    net: nst.Network, tmp_path: Path
) -> None:
    photo, painting = (nst.resize(nst.load_image(n), (128, 128)) for n in ("chelsea", "china"))

    def run(**options: Any) -> nst.Result:
        options = LAYERS | {"checkpoint": tmp_path / "run"} | options
        return nst.transfer(photo, painting, net=net, **options)

    with pytest.raises(Death):
        run(steps=10, callback=dying(2))
    with pytest.raises(ValueError, match=r"smaller picture, .* of 10 steps; .* steps=10 first"):
        run(steps=12)
    with pytest.raises(Death):
        run(steps=10, callback=dying(4))
    assert [level[2] for level in run(steps=8).levels] == [2, 6], "fewer, but not yet made"
    assert [level[2] for level in run(steps=12).levels] == [2, 10]
    with pytest.raises(ValueError, match=r"has made 12 steps already; .* \(steps=12\), or"):
        run(steps=11)
    (tmp_path / "run").unlink()
    assert run(steps=3).levels == [(128, 128, 3)], "too few for a coarse level"
    for _ in range(2):
        assert run(steps=12).levels == [(128, 128, 12)]


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"content_weight": 0.06}, r"content_weight: 0.005 there, 0.06 here"),
        ({"style_weight": 2}, r"style_weight: 1.0 there, 2.0 here"),
        ({"seed": 1}, r"with another picture to start from"),
        ({"optimizer": "adam"}, r"optimizer: lbfgs there, adam here"),
        ({"tolerance": 0.1}, r"tolerance: None there, 0.1 here"),
        ({"exact": True}, r"exact: False there, True here"),
        (
            {"style_layers": ["conv1_1"]},
            r"style_layers: .*conv2_1.* there, \{'conv1_1': 1.0\} here",
        ),
        ({"style_reduction": "sum"}, r"style_reduction: paper there, sum here"),
        ({"preserve_color": "statistics"}, r"with another style picture 1"),
        ({"content_weight": [0.005, 0.1]}, r"picture to start from"),
    ],
)
def test_other_settings_are_refused(
    finished: tuple[Callable[..., nst.Result], Path], options: dict[str, Any], difference: str
) -> None:
    again, path = finished
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"run is of another run \(.*" + difference):
        again(**options)
    assert path.read_bytes() == before


def test_another_picture_or_network_is_refused(
    finished: tuple[Callable[..., nst.Result], Path], content: Tensor, plain_net: nst.Network
) -> None:
    again, _ = finished
    with pytest.raises(ValueError, match=r"another run \(with another content picture\)"):
        again(content=content.flip(3))
    with pytest.raises(ValueError, match=r"another run \(network: .* of max pooling; .* there, "):
        again(net=plain_net)


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    flipped = bytes([content[middle] ^ 1])
    return {
        "cut": content[:middle],
        "one bit": content[:middle] + flipped + content[middle + 1 :],
        "empty": b"",
        "text": b"not a checkpoint\n" * 100,
    }


@pytest.mark.parametrize("kind", ["cut", "one bit", "empty", "text"])
def test_a_damaged_checkpoint_is_a_sentence_and_stays(
    finished: tuple[Callable[..., nst.Result], Path], kind: str
) -> None:
    again, path = finished
    bad = damaged(path.read_bytes())[kind]
    path.write_bytes(bad)
    with pytest.raises(
        ValueError, match=r"run is (no checkpoint of nst_utils|damaged \(.*\)); .*"
    ) as no:
        again()
    assert "delete" not in str(no.value), "it may be something else"
    assert path.read_bytes() == bad
    path.unlink()
    assert again().steps == 4


def test_a_file_of_tensors_is_no_checkpoint_and_code_in_one_does_not_run(
    finished: tuple[Callable[..., nst.Result], Path], tmp_path: Path
) -> None:
    again, path = finished

    class Code:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    for content in ({"conv1_1.weight": torch.zeros(3)}, {"kind": Code()}, [1, 2]):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"run is (no checkpoint|damaged)"):
            again()
    assert not (tmp_path / "ran").exists()


def test_the_format_of_another_version_is_refused(
    finished: tuple[Callable[..., nst.Result], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    again, _ = finished
    monkeypatch.setattr(checkpoints, "FORMAT", checkpoints.FORMAT + 1)
    with pytest.raises(ValueError, match=r"has the format 3, this version of nst_utils reads 4"):
        again()


def test_another_number_of_threads_is_said(
    finished: tuple[Callable[..., nst.Result], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    again, path = finished
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    again()
    expected = f"{path}: threads was {threads}, is {threads + 1}; the picture may differ"
    assert expected in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_refused_before_the_run(
    net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    for place, message in (("no/run", "does not exist"), (".", "is a folder")):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            nst.transfer(content, style, net=net, checkpoint=tmp_path / place, **LAYERS)


@pytest.mark.usefixtures("always")
def test_a_disk_that_fills_up_does_not_end_the_run(
    net: nst.Network,
    content: Tensor,
    style: Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise ValueError("the disk is full")

    monkeypatch.setattr(checkpoints, "write_whole", full)
    result = nst.transfer(content, style, net=net, checkpoint=tmp_path / "run", **LAYERS)
    assert result.steps == STEPS
    said = capsys.readouterr().err
    assert said.count("no checkpoint could be saved now, the run goes on: the disk") == 1


def test_saving_takes_its_share_of_the_time_and_not_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of our own: steps of 0.1 s; a first guess of 0.01 s, then 0.5 s for each save."""
    now = 0.0
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: now)

    def slow_write(*_: object) -> None:
        nonlocal now
        now += 0.5

    monkeypatch.setattr(checkpoints, "write_whole", slow_write)
    file = Checkpoint(tmp_path / "run", {})
    saved = []
    for step in range(10_000):
        now += 0.1
        before = now
        file.save_if_due(lambda: ({"x": torch.zeros(500_000)}, {}))
        if now > before:
            saved.append(step)
    assert saved[0] == pytest.approx(5, abs=1)  # 2 MB at 200 MB/s are 0.01 s, 2 % of 0.5 s
    assert 0.5 * len(saved) / now == pytest.approx(0.02, abs=0.002)


def test_what_may_not_be_read_is_not_called_something_else(
    net: nst.Network, content: Tensor, style: Tensor
) -> None:
    """Of every file that a run reads, a sentence on permissions, and it stays as it is."""
    reads: dict[str, Callable[[Path], object]] = {
        "run": lambda path: nst.transfer(content, style, net=net, checkpoint=path, **LAYERS),
        "photo.png": nst.load_image,
        "weights.safetensors": lambda path: nst.vgg19(str(path)),
        "weights.pth": lambda path: nst.vgg19(str(path)),
    }
    with unprivileged() as folder:
        for name, read_it in reads.items():
            path = folder / name
            path.write_bytes(b"what is in it cannot be known")
            path.chmod(0o200)
            with pytest.raises(ValueError, match=rf"{name} may not be read; change its perm") as no:
                read_it(path)
            assert "delete" not in str(no.value)
            assert [each.name for each in folder.iterdir()] == [name]
            path.unlink()


def test_a_checkpoint_that_another_run_is_writing_is_refused(
    net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    def run(**options: Any) -> nst.Result:
        options = LAYERS | {"steps": 3, "checkpoint": tmp_path / "run"} | options
        return nst.transfer(content, style, net=net, **options)

    def meanwhile(step: nst.Step) -> None:
        with pytest.raises(ValueError, match=r"another run is writing the checkpoint \S+run; wait"):
            run(seed=1)
        told.append(step.number)

    told: list[int] = []
    assert run(callback=meanwhile).steps == 3
    assert told == [1, 2, 3]
    assert run(seed=0).resumed == 3, "it is free again, and still that of the first"
    with pytest.raises(ValueError, match="is of another run"):
        run(seed=1)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_nothing_but_the_checkpoint_is_left(
    finished: tuple[Callable[..., nst.Result], Path],
) -> None:
    again, path = finished
    again()
    assert [each.name for each in path.parent.iterdir()] == ["run"]
    assert read(path)["format"] == checkpoints.FORMAT


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("number", [np.float32(0.5), torch.tensor(0.5)])
def test_weights_that_are_no_plain_floats_can_be_saved(
    number: Any, net: nst.Network, content: Tensor, style: Tensor, tmp_path: Path
) -> None:
    def turn(step: nst.Step) -> Weighting:
        return Weighting(number, style_layers={"conv1_1": number})

    options = LAYERS | {"steps": 3, "callback": turn, "checkpoint": tmp_path / "run"}
    result = nst.transfer(content, style, net=net, **options)
    assert result.steps == 3
    assert result.settings["reweighed"][0][1]["content_weight"] == 0.5


@pytest.mark.usefixtures("always")
def test_ctrl_c_while_a_checkpoint_is_written_ends_the_run(
    net: nst.Network,
    content: Tensor,
    style: Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[], None],
) -> None:
    """After it is whole: torch.save would make an error of its own of the interrupt."""
    write, calls = paths._Output.write, []

    def interrupted(self: paths._Output, data: Any) -> int:
        calls.append(1)
        if len(calls) == 3:
            ctrl_c()
        return write(self, data)

    monkeypatch.setattr(paths._Output, "write", interrupted)
    result = nst.transfer(content, style, net=net, checkpoint=tmp_path / "run", **LAYERS)
    assert result.interrupted
    assert 0 < result.steps < STEPS
    assert len(read(tmp_path / "run")["tensors"]["history/total_loss"]) == result.steps


def test_a_finished_run_leaves_file_and_random_numbers_as_they_are(
    finished: tuple[Callable[..., nst.Result], Path],
) -> None:
    again, path = finished
    before = path.stat().st_mtime_ns, path.stat().st_ino
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    again()
    assert torch.equal(torch.rand(3), expected)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
