"""``nst completion``: what a real shell makes of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from outcome import Outcome

from nst_utils.experiments.presets import PRESETS
from nst_utils.images.names import samples

Complete = Callable[..., set[str]]


@pytest.fixture
def complete(run: Callable[..., Outcome], tmp_path: Path) -> Complete:
    """What bash offers for the last of some words, in a folder with a picture and a folder."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = tmp_path / "nst.bash"
    script.write_text(run("completion", "bash").out)
    here = tmp_path / "here"
    (here / "photos").mkdir(parents=True)
    (here / "chair.jpg").touch()

    def offered(*words: str) -> set[str]:
        line = ["nst", *words]
        code = f"source {script}; COMP_WORDS=({' '.join(repr(each) for each in line)}); "
        code += f"COMP_CWORD={len(line) - 1}; _shtab_nst nst '{line[-1]}' '{line[-2]}'; "
        code += 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", code], capture_output=True, text=True, cwd=here, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return {*done.stdout.split()}

    return offered


def test_commands_options_and_choices(complete: Complete) -> None:
    assert complete("tr") == {"transfer"}
    assert complete("") >= {"transfer", "sweep", "batch", "demo", "studio", "doctor", "completion"}
    assert complete("transfer", "--style-s") == {"--style-size", "--style-statistics"}
    assert complete("transfer", "chelsea", "china", "--optimizer", "") == {"adam", "lbfgs"}


def test_pictures_are_bundled_names_and_files(complete: Complete) -> None:
    bundled = {name for name in samples() if name.startswith("ch")}
    assert len(bundled) > 1
    assert complete("transfer", "ch") == {"chair.jpg", *bundled}
    assert complete("transfer", "chelsea", "great") == {"great-wave"}
    assert complete("transfer", "chelsea", "china", "--preset", "") == {*PRESETS}
    assert complete("transfer", "chelsea", "china", "-o", "cha") == {"chair.jpg"}


def test_folders_are_offered_where_a_folder_belongs(complete: Complete) -> None:
    assert complete("batch", "") == {"photos"}
    assert complete("sweep", "chelsea", "china", "-o", "") == {"photos"}
    assert complete("notebooks", "ph") == {"photos"}


def test_zsh_reads_its_script(run: Callable[..., Outcome], tmp_path: Path) -> None:
    text = run("completion", "zsh").out
    assert text.startswith("#compdef nst")
    for name in (*samples(), *PRESETS, "transfer", "sweep", "batch", "studio", "completion"):
        assert name in text
    if shutil.which("zsh") is not None:
        script = tmp_path / "_nst"
        script.write_text(text)
        code = f'autoload -U compinit; compinit -u -d {tmp_path}/dump; eval "$(cat {script})"; '
        code += "whence -w _shtab_nst _nst_picture_file; print ${_comps[nst]}"
        done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == [
            *("_shtab_nst:", "function", "_nst_picture_file:", "function", "_shtab_nst")
        ], done.stderr
