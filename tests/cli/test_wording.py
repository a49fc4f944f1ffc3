"""Who uses the command line reads its options, who uses Python the settings there."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome import Outcome

import nst_utils as nst
from nst_utils.cli import commands
from nst_utils.cli.parser import build_parser
from nst_utils.cli.wording import in_options
from nst_utils.memory import estimate
from nst_utils.support.messages import say, wording

PACKAGE = Path(nst.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "cli")
Run = Callable[..., Outcome]
KNOWN = vars(build_parser().parse_args(["transfer", "a", "b", "-o", "c.png"])) | {"resume": None}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_library_names_no_option_of_the_command_line(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # The pages of the studio have variables of their own.
            assert not re.search(r"(?<!var\()(?<![\w-])--[a-z]", node.value), node.value


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("tiles of 512 px (tile=512)", "tiles of 512 px (--tile 512)"),
        ('use the CPU (device="cpu")', "use the CPU (--device cpu)"),
        ("a smaller size, for instance size=256", "a smaller size, for instance --size 256"),
        ("style_masks need masks, which", "--style-masks need masks, which"),
        (
            "with another run (content_weight: 1.0 there",
            "with another run (--content-weight: 1.0 there",
        ),
        ("the same with resume=True goes on", "the same with --resume goes on"),
        # What is no setting, or not theirs to be typed.
        ("set TORCH_HOME, or layer_sets=2", "set TORCH_HOME, or layer_sets=2"),
        ("style_blend.png, out/style_blend", "style_blend.png, out/style_blend"),
        ("unknown preset 'style_blend'", "unknown preset 'style_blend'"),
        ("the file tile=5.png, a/tile=5", "the file tile=5.png, a/tile=5"),
    ],
)
def test_settings_become_options(sentence: str, expected: str) -> None:
    assert in_options(sentence, KNOWN) == expected


@pytest.mark.usefixtures("shared_net")
def test_each_reads_what_can_be_typed_there(
    run: Run, net: nst.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "available", lambda _: int(1.5e9))
    outcome = run("transfer", "chelsea", "china", "-o", tmp_path / "a.png", "--size", 1024)
    found = re.search(r"\(--tile (\d+)\), or pictures of .* \(--size (\d+)\)$", outcome.complaint)
    assert found is not None, outcome.complaint
    pictures = [nst.load_image(name, 1024) for name in ("chelsea", "china")]
    with pytest.raises(ValueError, match=rf"\(tile={found[1]}\), .* \(size={found[2]}\)\Z"):
        nst.transfer(*pictures, net=net, device="cpu", progress=False)


@pytest.mark.usefixtures("shared_net")
def test_lines_of_a_run_name_options_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def transfer(*_: Any, **__: Any) -> None:
        say('use the CPU (device="cpu")')
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nmore")

    monkeypatch.setattr(commands, "transfer", transfer)
    outcome = run("transfer", "chelsea", "china", "-o", tmp_path / "a.png", "--size", 48)
    said, complaint = outcome.err.splitlines()
    assert said == "nst: use the CPU (--device cpu)"
    assert complaint.endswith("unspecified launch failure); use the CPU (--device cpu)")
    assert wording.get() is str
    say('use the CPU (device="cpu")')
    assert capfd.readouterr().err == 'nst: use the CPU (device="cpu")\n'


def test_every_command_and_option_says_what_it_is_for_in_one_way() -> None:
    (commands_of,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    assert isinstance(commands_of, argparse._SubParsersAction)
    assert [a.dest for a in commands_of._choices_actions] == [*commands_of.choices]
    for each in commands_of._choices_actions:
        assert re.fullmatch(r"[a-z].*[^.]", each.help or ""), each.dest
    for name, parser in commands_of.choices.items():
        silent = [a.option_strings or a.dest for a in parser._actions if not a.help]
        assert not silent, f"nst {name} says nothing of {silent}"
