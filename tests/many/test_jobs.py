"""What a picture is made of, as plain values: two jobs are the same if their pictures are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from picture_files import noisy

import nst_utils as nst
from nst_utils.many.jobs import Job, make_job

PAIR = {"content": "chelsea", "style": "china"}


def test_a_job_travels_and_is_plain() -> None:
    job = make_job("a", {**PAIR, "content_weight": 1e-3, "smaller_first": {0.5: 10}})
    assert pickle.loads(pickle.dumps(job)) == job
    assert json.dumps(job.what)
    assert job.what["settings"]["content_weight"] == 1e-3
    assert Path(job.files["content"]).is_absolute()


def kept(job: Job) -> dict[str, Any]:
    """As a picture gives it back."""
    return dict(json.loads(json.dumps({"version": "0", **job.what, "total_loss": 1.0})))


def test_the_settings_in_a_picture_tell_whether_it_is_the_same_job(tmp_path: Path) -> None:
    photo, copy = tmp_path / "a.png", tmp_path / "b.png"
    noisy(40, 60).save(photo)
    copy.write_bytes(photo.read_bytes())
    given = {"content": photo, "style": "china", "learning_rate": {1: 0.1, 5: 0.01}}
    given |= {"optimizer": "adam"}
    job = make_job("a", given)
    assert job.is_told_by(kept(job))
    assert job.is_told_by(kept(make_job("b", given | {"content": copy}))), "the same bytes"
    assert job.is_told_by(kept(make_job("b", given | {"device": "cpu"})))
    for change in ({"size": 99}, {"style": "chelsea"}, {"seed": 1}, {"pooling": "max"}):
        assert not job.is_told_by(kept(make_job("a", given | change))), change
    assert not job.is_told_by(None)
    assert not job.is_told_by(kept(job) | {"trouble": "it could not go on"})
    noisy(40, 60, seed=1).save(photo)
    assert not make_job("a", given).is_told_by(kept(job)), "another picture under the same name"


def test_quick_pictures_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_job("a", PAIR)
    monkeypatch.setenv("NST_QUICK", "1")
    quick = make_job("a", PAIR)
    assert not quick.is_told_by(kept(whole))
    assert not whole.is_told_by(kept(quick))


def test_pictures_with_the_edges_of_the_photograph_are_others() -> None:
    painted, mended = (make_job("a", PAIR | {"photorealistic": each}) for each in (False, True))
    assert painted.is_told_by(kept(make_job("a", PAIR)))
    assert not painted.is_told_by(kept(mended))
    assert not mended.is_told_by(kept(painted))


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"content_wieght": 1}, "unknown setting 'content_wieght'; did you mean 'content_w"),
    "checkpoint": ({"checkpoint": "a"}, "unknown setting 'checkpoint'"),
    "weight": ({"content_weight": "x"}, "content_weight must be a number"),
    "both": ({"content_weight": 0, "style_weight": 0}, "are both 0"),
    "layer": ({"content_layers": ["conv42"]}, "content_layers names layers of vgg19: unknown"),
    "steps": ({"steps": 0}, "steps must be a whole number of at least 1"),
    "size": ({"size": 0.5}, "size must be a whole number"),
    "picture": ({"style": "missing.jpg"}, "there is no picture missing.jpg"),
    "tensor": ({"content": nst.noise_image(4, 4)}, "which every process can load for itself"),
    "several": ({"style": ["china", "chelsea"]}, "say with style_blend what share"),
    "blend": ({"style": ["china"], "style_blend": [1, 2]}, "style_blend has 2 values for 1"),
    "preset": ({"preset": "papr"}, "unknown preset 'papr'"),
    "init": ({"init": "missing.png"}, "init is noise, content, style or a picture"),
    "weights": ({"weights": "missing.pth"}, "there is no weights file missing.pth"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen_before_the_first_picture(mistake: str) -> None:
    given, sentence = MISTAKES[mistake]
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        make_job("a", PAIR | given)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_network_that_is_given_leaves_no_choice_of_one() -> None:
    assert make_job("a", PAIR, "mine").what["network"] == {"given": "mine"}
    with pytest.raises(ValueError, match="pooling is of no use beside net"):
        make_job("a", PAIR | {"pooling": "max"}, "mine")
