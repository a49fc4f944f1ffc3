"""``nst.sweep`` in this process: each combination, as ``nst.transfer`` makes it."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from picture_files import noisy
from PIL import Image
from thin import thin_vgg19

import nst_utils as nst
from nst_utils.images import guided
from nst_utils.images.embedded import settings_of_whole
from nst_utils.many import engine, loading, painting, sweeps
from nst_utils.many.desk import NAME
from nst_utils.many.jobs import make_job
from nst_utils.many.plans import batches
from nst_utils.optimize import checkpoints

Sweep = Callable[..., nst.Sweep]
WEIGHTS = [1e-3, 1e-1]


@pytest.fixture
def sweep(thin_net: nst.Network, tmp_path: Path) -> Sweep:
    """Small, quick and quiet."""
    how: dict[str, Any] = {"net": thin_net, "size": 32, "steps": 2, "device": "cpu"}
    how |= {"progress": False, "folder": tmp_path / "out"}
    return lambda *pictures, **given: nst.sweep(*pictures, **(how | given))


def left_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_each_combination_is_what_transfer_makes(
    sweep: Sweep, thin_net: nst.Network, tmp_path: Path
) -> None:
    found = sweep("chelsea", ["china", "great-wave"], content_weight=WEIGHTS)
    assert [axis.name for axis in found.axes] == ["style", "content_weight"]
    assert [each.state for each in found.outcomes] == ["finished"] * 4
    for number, (file, told) in enumerate(zip(found.files, found.settings, strict=True)):
        style = ["china", "great-wave"][number // 2]
        assert told == {"style": style, "content_weight": f"{WEIGHTS[number % 2]:g}"}
        expected = nst.transfer(
            nst.load_image("chelsea", 32),
            nst.load_image(style, 32),
            net=thin_net,
            content_weight=WEIGHTS[number % 2],
            steps=2,
            device="cpu",
            progress=False,
        )
        nst.save_image(expected.image, tmp_path / "expected.png")
        assert torch.equal(nst.load_image(file), nst.load_image(tmp_path / "expected.png"))
        kept = settings_of_whole(file)
        assert kept is not None
        assert kept["settings"]["content_weight"] == WEIGHTS[number % 2]
        assert kept["style"] == [{"file": f"{style}.jpg", "sha256": nst.samples()[style].sha256}]
        loss = float(expected.history["total_loss"][-1, 0])
        assert kept["total_loss"] == found.outcomes[number].total_loss == loss
    names = [file.name for file in found.files]
    assert names[0] == "01_style=china_content-weight=0.001.png"
    assert left_in(found.folder) == sorted([*names, "sheet.png", "table.csv"])
    with (found.folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == names
    assert [row["content_weight"] for row in rows] == ["0.001", "0.1"] * 2
    assert all(float(row["total_loss"]) > 0 and float(row["seconds"]) > 0 for row in rows)
    (sheet,) = found.sheets()
    assert "rows: china; great-wave; columns: 0.001; 0.1" in sheet.alt
    assert "4 of 4 pictures" in repr(found)


def test_three_settings_make_a_sheet_for_each_value_of_the_first(sweep: Sweep) -> None:
    found = sweep("chelsea", "china", tv_weight=[0, 1e-3], seed=range(2), content_weight=WEIGHTS)
    assert len(found.outcomes) == 8
    first, second = found.sheets()
    assert first.alt.startswith("A table of pictures. tv_weight 0; rows: seed, columns: content_w")
    assert "tv_weight 0.001;" in second.alt
    assert {"sheet-1.png", "sheet-2.png"} <= {*left_in(found.folder)}


@pytest.mark.parametrize("drawn_by", ["contact_sheet", "contact_strip"])
def test_a_sheet_is_drawn_of_pictures_no_larger_than_it_shows_them(
    drawn_by: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"tv_weight": [0, 1e-3]} if drawn_by == "contact_sheet" else {}
    found = sweep("chelsea", "china", seed=range(2), **given)
    monkeypatch.setattr("nst_utils.plots.contact_sheet._SIDE", 92)
    monkeypatch.setattr("nst_utils.plots.contact_sheet._LEAST", 8)
    shapes: list[Any] = []
    monkeypatch.setattr(sweeps, drawn_by, lambda pictures, *_, **__: shapes.append(pictures))
    found.sheets()
    pictures = shapes[0][0] if given else shapes[0]
    assert [tuple(each.shape) for each in pictures] == [(1, 3, 14, 21)] * 2


def test_no_memory_for_the_sheet_is_a_sentence_and_the_table_is_there(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sweeps, "contact_strip", fails)
    found = sweep("chelsea", "china", seed=range(2))
    assert found.trouble.startswith("too little memory for the sheet; pictures and table.csv are")
    assert {"table.csv", "01_seed=0.png", "02_seed=1.png"} == {*left_in(found.folder)}


def test_zipped_they_walk_together(sweep: Sweep) -> None:
    found = sweep("chelsea", ["china", "chelsea"], seed=[3, 4], zipped=True)
    assert found.settings == [{"style": "china", "seed": "3"}, {"style": "chelsea", "seed": "4"}]
    (sheet,) = found.sheets()
    assert "china, 3; chelsea, 4" in sheet.alt


def test_paintings_blended_go_into_one_picture(sweep: Sweep) -> None:
    found = sweep("chelsea", ["china", "great-wave"], style_blend=[[1, 0], [0.5, 0.5]])
    assert [each.state for each in found.outcomes] == ["finished"] * 2
    assert [axis.name for axis in found.axes] == ["style_blend"]


def test_the_photographs_edges_are_a_setting_like_any_other(sweep: Sweep, tmp_path: Path) -> None:
    """Inside the masks of the paintings; the file says so."""
    half = torch.zeros(1, 3, 21, 32)
    half[..., :16] = 1
    masks = [half, 1 - half]
    files = [str(nst.save_image(x, tmp_path / f"{i}.png")) for i, x in enumerate(masks)]
    given: dict[str, Any] = {"masks": files, "init": "style", "photorealistic": [False, True]}
    found = sweep("chelsea", ["china", "great-wave"], **given)
    assert [told["photorealistic"] for told in found.settings] == ["no", "yes"]
    painted, mended = found.images
    assert painted is not None
    assert mended is not None
    photograph = nst.load_image("chelsea", 32)
    wanted = nst.photorealistic(painted, photograph, masks=[x[:, :1] for x in masks])
    torch.testing.assert_close(mended, wanted, rtol=0, atol=2 / 255)  # painted is of 8 bits
    assert (mended - painted).abs().mean() > 0.02
    kept = [settings_of_whole(file) for file in found.files]
    assert [each is not None and each.get("photorealistic") for each in kept] == [None, True]
    again = sweep("chelsea", ["china", "great-wave"], **given, resume=True)
    assert [each.state for each in again.outcomes] == ["skipped"] * 2


def test_no_memory_for_the_edges_does_not_cost_the_picture(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept as it was painted, said, and made again by whoever resumes."""
    painted = sweep("chelsea", "china", seed=[0, 1]).images[1]
    assert painted is not None

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(guided, "photorealistic", fails)
    found = sweep("chelsea", "china", seed=[0, 1], photorealistic=True)
    assert [each.state for each in found.outcomes] == ["failed"] * 2
    assert "too little memory for the photograph's edges" in found.outcomes[1].message
    assert torch.equal(nst.load_image(found.files[1]), painted)
    monkeypatch.undo()
    found = sweep("chelsea", "china", seed=[0, 1], photorealistic=True, resume=True)
    assert [each.state for each in found.outcomes] == ["finished"] * 2


def test_without_a_folder_the_pictures_go_with_the_result(sweep: Sweep) -> None:
    found = sweep("chelsea", "china", folder=None, seed=[0, 1])
    folder = found.folder
    assert [image.shape for image in found.images if image is not None] == [(1, 3, 21, 32)] * 2
    del found
    assert not folder.exists()


def test_one_that_fails_does_not_stop_the_rest(sweep: Sweep, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    found = sweep("chelsea", [bad, "china"], seed=[0, 1])
    assert [each.state for each in found.outcomes] == ["failed"] * 2 + ["finished"] * 2
    assert str(bad) in found.outcomes[0].message
    assert found.images[0] is None
    assert found.images[2] is not None
    assert len(found.sheets()) == 1
    assert len([name for name in left_in(found.folder) if name.startswith("0")]) == 2


def test_where_all_fail_there_is_no_sheet(sweep: Sweep, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    found = sweep("chelsea", bad, seed=[0, 1])
    assert {each.state for each in found.outcomes} == {"failed"}
    assert left_in(found.folder) == ["table.csv"]
    with pytest.raises(ValueError, match="no picture to show"):
        found.sheets()


def test_resuming_makes_what_is_not_there_and_nothing_else(sweep: Sweep) -> None:
    first = sweep("chelsea", "china", seed=range(4))
    times = [file.stat().st_mtime_ns for file in first.files]
    before = [file.read_bytes() for file in first.files]
    first.files[0].unlink()
    first.files[1].write_bytes(before[1][:-200])  # a disk that lost its end
    nst.save_image(nst.noise_image(21, 32), first.files[2])  # no settings in it
    again = sweep("chelsea", "china", seed=range(4), resume=True)
    states = ["finished", "finished", "finished", "skipped"]
    assert [each.state for each in again.outcomes] == states
    assert [file.read_bytes() for file in again.files] == before
    assert again.files[3].stat().st_mtime_ns == times[3]
    assert again.outcomes[3].total_loss == first.outcomes[3].total_loss
    with (again.folder / "table.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[3]
    assert row["seconds"] == str(first.outcomes[3].seconds), "of the run that made it"
    other = sweep("chelsea", "china", seed=range(4), resume=True, content_weight=1.0)
    assert {each.state for each in other.outcomes} == {"finished"}


def test_an_interrupt_keeps_what_is_there(
    sweep: Sweep, ctrl_c: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    class Watch(painting._Watch):
        def __call__(self, step: nst.Step) -> None:
            super().__call__(step)
            steps.append(step.number)
            if len(steps) == 3:  # the first of the second picture
                ctrl_c()

    monkeypatch.setattr(painting, "_Watch", Watch)
    found = sweep("chelsea", "china", seed=range(3))
    assert found.interrupted
    assert [each.state for each in found.outcomes] == ["finished", "cancelled", "cancelled"]
    monkeypatch.undo()
    again = sweep("chelsea", "china", seed=range(3), resume=True)
    assert [each.state for each in again.outcomes] == ["skipped", "finished", "finished"]
    assert NAME not in left_in(again.folder)


def test_a_run_that_was_ended_in_a_picture_goes_on_from_its_checkpoint(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)  # after every step
    whole = sweep("chelsea", "china", steps=6)
    expected = whole.files[0].read_bytes()
    whole.files[0].unlink()

    class Watch(painting._Watch):
        def __call__(self, step: nst.Step) -> None:
            if step.number == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(painting, "_Watch", Watch)
        assert sweep("chelsea", "china", steps=6).outcomes[0].state == "cancelled"
    assert not whole.files[0].exists()
    again = sweep("chelsea", "china", steps=6)
    assert again.outcomes[0].resumed == 3
    assert again.files[0].read_bytes() == expected
    assert NAME not in left_in(again.folder)


def test_a_damaged_checkpoint_of_ours_is_begun_anew(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sweep("chelsea", "china")
    seen: list[Path] = []

    def damaged(*given: Any, **more: Any) -> nst.Result:
        seen.append(more["checkpoint"])
        return nst.transfer(*given, **more)

    monkeypatch.setattr(painting, "transfer", damaged)
    sweep("chelsea", "china")
    seen[0].parent.mkdir()
    seen[0].write_text("half of one")
    again = sweep("chelsea", "china")
    assert again.outcomes[0].state == "finished"
    assert NAME not in left_in(found.folder)


@pytest.mark.parametrize("changed", ["device", "network"])
def test_a_checkpoint_of_another_device_or_network_is_begun_anew(
    changed: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun on a GPU, gone on with on a CPU: its name is the same, the run is another one."""
    whole = sweep("chelsea", "china", steps=6)
    expected = whole.files[0].read_bytes()
    whole.files[0].unlink()

    class Watch(painting._Watch):
        def __call__(self, step: nst.Step) -> None:
            if step.number == 4:
                raise KeyboardInterrupt

    identity = checkpoints.identity

    def other(*given: Any, **run: Any) -> dict[str, Any]:
        return identity(*given, **run) | {changed: "another"}

    with monkeypatch.context() as patch:
        patch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)  # after every step
        patch.setattr("nst_utils.optimize.loop.identity", other)
        patch.setattr(painting, "_Watch", Watch)
        assert sweep("chelsea", "china", steps=6).outcomes[0].state == "cancelled"
    assert [*(whole.folder / NAME).glob("*.ckpt")]
    again = sweep("chelsea", "china", steps=6, resume=True)
    assert again.outcomes[0].message == ""
    assert again.outcomes[0].resumed == 0
    assert again.files[0].read_bytes() == expected
    assert NAME not in left_in(again.folder)


def test_checkpoints_of_other_settings_stay_until_nothing_is_left_to_do(
    sweep: Sweep, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    earlier = tmp_path / "out" / NAME / "01-0123456789abcdef.ckpt"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("of other settings")
    sweep("chelsea", ["china", bad])
    assert earlier.exists()
    noisy(40, 60).save(bad)
    found = sweep("chelsea", ["china", bad], resume=True)
    assert [each.state for each in found.outcomes] == ["skipped", "finished"]
    assert NAME not in left_in(found.folder)


def test_the_cancel_file_is_read_no_more_often_than_the_status_is_written(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(painting.Desk, "is_cancelled", lambda desk: looks.append(desk.token))
    monkeypatch.setattr(painting, "_EVERY", 1e9)
    sweep("chelsea", "china", steps=6)
    assert len(looks) == 1, "before it begins"


def test_what_one_batch_holds_is_what_each_would_be_by_itself(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As is done on a GPU."""
    given = {"content_weight": WEIGHTS, "content_layers": [["conv4_2"], ["conv3_1"]]}
    alone = sweep("chelsea", ["china", "great-wave"], **given)
    monkeypatch.setattr(sweeps.Run, "_here", _together)
    batch = sweep("chelsea", ["china", "great-wave"], folder=tmp_path / "batch", **given)
    assert {each.together for each in batch.outcomes} == {8}
    for a, b in zip(alone.images, batch.images, strict=True):
        assert a is not None
        assert b is not None
        assert (a - b).abs().max() <= 2 / 255


def _together(run: engine.Run) -> None:
    for group in batches(run._open()):
        run._paint_here(group)


def test_a_batch_that_cannot_be_done_is_done_by_halves(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def small(content: Any, style: Any, **more: Any) -> nst.Result:
        sizes.append(len(style))
        if len(style) > 1:
            raise ValueError("this takes more memory than there is")
        return nst.transfer(content, style, **more)

    monkeypatch.setattr(painting, "transfer", small)
    monkeypatch.setattr(sweeps.Run, "_here", _together)
    found = sweep("chelsea", "china", seed=range(3))
    assert [each.state for each in found.outcomes] == ["finished"] * 3
    assert sizes == [3, 1, 2, 1, 1]


def test_what_befalls_one_of_a_batch_does_not_repeat_it(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place on the disk, or its loss; the others are there."""
    sizes: list[int] = []

    def transfer(content: Any, style: Any, **more: Any) -> nst.Result:
        sizes.append(len(style))
        result = nst.transfer(content, style, **more)
        result.troubles[2] = "picture 3 cannot go on after step 1: a loss of NaN"
        return result

    save = painting.save_or_rescue

    def full(image: Any, path: Path, *rest: Any) -> Path:
        if path.name.startswith("02"):
            raise ValueError("the disk is full")
        return save(image, path, *rest)

    monkeypatch.setattr(painting, "transfer", transfer)
    monkeypatch.setattr(painting, "save_or_rescue", full)
    monkeypatch.setattr(sweeps.Run, "_here", _together)
    found = sweep("chelsea", "china", seed=range(4))
    assert sizes == [4], "it was painted again"
    assert [each.state for each in found.outcomes] == ["finished", "failed", "failed", "finished"]
    assert found.outcomes[1].message == "the disk is full"
    assert found.outcomes[2].message.startswith("picture 3 cannot go on after step 1")
    assert [file.exists() for file in found.files] == [True, False, True, True]


def test_a_batch_that_stops_as_a_whole_is_done_by_halves(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def stops(content: Any, style: Any, **more: Any) -> nst.Result:
        sizes.append(len(style))
        result = nst.transfer(content, style, **more)
        if len(style) > 1:
            result.trouble = "stopped after step 1: there is not enough memory for this"
            result.troubles = [result.trouble] * len(style)
        return result

    monkeypatch.setattr(painting, "transfer", stops)
    monkeypatch.setattr(sweeps.Run, "_here", _together)
    found = sweep("chelsea", "china", seed=range(2))
    assert [each.state for each in found.outcomes] == ["finished"] * 2
    assert sizes == [2, 1, 1]


def test_only_what_can_be_in_one_batch_is() -> None:
    pair = {"content": "chelsea", "style": "china"}
    rows: list[dict[str, Any]] = [{}, {"seed": 1}, {"style": "great-wave"}]
    rows += [{"size": 99}, {"steps": 2}, {"content": "china"}]
    rows += [{"style": ["china", "chelsea"], "style_blend": [1, 1]}] * 2
    jobs = [make_job(str(number), pair | row) for number, row in enumerate(rows)]
    groups = sorted(sorted(job.name for job in group) for group in batches(jobs))
    assert groups == [["0", "1", "2"], ["3"], ["4"], ["5"], ["6"], ["7"]]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "twins": ({"seed": [1, 1]}, "01_seed=1 and 02_seed=1 are the same picture"),
    "unknown": ({"sede": [1, 2]}, "unknown setting 'sede'; did you mean 'seed'"),
    "empty": ({"seed": []}, "seed holds no value"),
    "executor": ({"executor": 1.5, "net": None}, "executor must be one of concurrent.futures"),
    "workers": ({"executor": 0, "net": None}, "executor must be a whole number of at least 1"),
    "threads": ({"threads": 0}, "threads must be a whole number of at least 1"),
    "net": ({"net": 3}, "net must be a network or make one"),
    "net lambda": ({"executor": 2, "net": lambda: None}, "cannot be sent to other processes"),
    "net resumed": ({"resume": True, "net": lambda: None}, "resume cannot tell what net"),
    "net there": ({"executor": 2}, "net is a network, which is not sent to other processes"),
    "folder": ({"folder": "missing/out"}, "the folder missing does not exist; make it first"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_and_nothing_is_made(
    sweep: Sweep, mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, sentence = MISTAKES[mistake]
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        sweep("chelsea", "china", **given)
    assert sentence in str(error.value)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_two_runs_do_not_write_into_one_folder(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints = []

    def second(*given: Any, **more: Any) -> nst.Result:
        with pytest.raises(ValueError, match="another run is writing into") as error:
            sweep("chelsea", "china", seed=9)
        complaints.append(error)
        return nst.transfer(*given, **more)

    monkeypatch.setattr(painting, "transfer", second)
    assert sweep("chelsea", "china").outcomes[0].state == "finished"
    assert len(complaints) == 1


def test_a_picture_whose_place_is_gone_is_kept_elsewhere(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(path: Path, write: object) -> None:
        raise ValueError(f"{path} could not be written: the disk is full")

    monkeypatch.chdir(tmp_path)
    written = nst.images.files.write_whole
    with monkeypatch.context() as patch:
        patch.setattr(
            "nst_utils.images.files.write_whole",
            lambda path, write: (full if "out" in str(path) else written)(path, write),
        )
        found = sweep("chelsea", "china", seed=[0])
    assert found.outcomes[0].state == "failed"
    assert "the disk is full; the finished picture is in" in found.outcomes[0].message
    with Image.open(next(tmp_path.glob("nst-rescued-*/*.png"))) as rescued:
        assert rescued.size == (32, 21)


def test_a_network_may_be_made_by_a_function(sweep: Sweep, thin_net: nst.Network) -> None:
    one = sweep("chelsea", "china")
    expected = one.files[0].read_bytes()
    for net in (thin_vgg19, partial(thin_vgg19)):
        found = sweep("chelsea", "china", net=net)
        assert torch.equal(found.images[0], one.images[0])  # type: ignore[arg-type]
        assert found.files[0].read_bytes() != expected  # it tells what made it
    with pytest.raises(ValueError, match="net must make a network"):
        _raised(sweep("chelsea", "china", net=int))


def test_two_networks_of_one_name_are_two(sweep: Sweep, thin_net: nst.Network) -> None:
    """Lambdas have one name, and so have networks that differ in their numbers alone."""
    others = thin_vgg19()
    others.get_buffer("_steps.conv2_1.bias").add_(0.5)
    losses = []
    for net in (thin_net, others):
        losses.append(sweep("chelsea", "china", net=lambda net=net: net).outcomes[0].total_loss)
        again = sweep("chelsea", "china", net=net, resume=True).outcomes[0]
        assert (again.state, again.total_loss) == ("finished", losses[-1]), "another one's was kept"
        assert sweep("chelsea", "china", net=net, resume=True).outcomes[0].state == "skipped"
    assert losses[0] != losses[1]


def test_a_function_that_is_sent_again_makes_its_network_once() -> None:
    made: list[nst.Network] = []
    job = make_job("a", {"content": "chelsea", "style": "china", "device": "cpu"}, "mine")
    for _ in range(2):
        net = pickle.loads(pickle.dumps(partial(thin_vgg19, precision="float32")))
        made.append(loading.network_of(job, net))
    assert made[0] is made[1]


def _raised(found: nst.Sweep) -> None:
    raise ValueError(found.outcomes[0].message)


def test_pictures_are_loaded_once_and_again_where_the_file_has_changed(
    sweep: Sweep, tmp_path: Path
) -> None:
    photo = tmp_path / "a.png"
    noisy(40, 60).save(photo)
    loading._picture_as_of.cache_clear()
    one = sweep(photo, "china", seed=[0, 1])
    assert loading._picture_as_of.cache_info().misses == 2
    noisy(40, 61, seed=1).save(photo)
    other = sweep(photo, "china", seed=[0, 1], resume=True)
    assert [each.state for each in other.outcomes] == ["finished"] * 2
    assert one.outcomes[0].content_loss != other.outcomes[0].content_loss


def test_weights_of_ones_own_are_found_wherever_the_work_is_done(
    sweep: Sweep, thin_net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def builder(**settings: Any) -> nst.Network:
        asked.append(settings)
        return thin_net

    monkeypatch.setattr("nst_utils.networks.builders.NETWORKS", {"vgg19": builder})
    monkeypatch.setattr(loading, "_networks", {})
    monkeypatch.chdir(tmp_path)
    Path("mine.pth").write_bytes(b"numbers")
    one = sweep("chelsea", "china", net=None, weights="mine.pth")
    assert asked[0]["weights"] == str(tmp_path / "mine.pth")
    kept = settings_of_whole(one.files[0])
    assert kept is not None
    assert kept["weights"]["file"] == "mine.pth"
    again = sweep("chelsea", "china", net=None, weights=tmp_path / "mine.pth", resume=True)
    assert again.outcomes[0].state == "skipped"
    Path("mine.pth").write_bytes(b"others")
    other = sweep("chelsea", "china", net=None, weights="mine.pth", resume=True)
    assert other.outcomes[0].state == "finished"
    assert len(asked) == 2


def test_long_names_in_any_script_fit_on_a_disk(sweep: Sweep, tmp_path: Path) -> None:
    photos = [tmp_path / f"{'寺' * 80}{end}.png" for end in "ab"]
    for seed, photo in enumerate(photos):
        noisy(40, 60, seed=seed).save(photo)
    found = sweep(photos, "china", size=[32, 33])
    assert {each.state for each in found.outcomes} == {"finished"}
