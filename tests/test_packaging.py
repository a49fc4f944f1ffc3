"""The parts of the repository agree with one another."""

from __future__ import annotations

import ast
import doctest
import hashlib
import importlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import nst_utils as nst
from nst_utils.cli.parser import build_parser
from nst_utils.experiments.complete_settings import Preset
from nst_utils.networks.weights import BUNDLED_FILE

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# "objective.table" -> its file; the folders' own __init__.py are looked at by themselves.
MODULES = {
    ".".join(path.relative_to(ROOT / "nst_utils").with_suffix("").parts): path
    for path in sorted((ROOT / "nst_utils").rglob("*.py"))
    if path.name != "__init__.py" or path.parent.name == "nst_utils"
}
RECORDS: list[dict[str, Any]] = json.loads(
    (ROOT / "data" / "catalog.json").read_text(encoding="utf-8")
)


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version: (3, 11) of ">=3.11"."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


# Packages and versions.


def test_conda_and_pip_install_the_same_packages() -> None:
    entries = re.findall(
        r"^ +- (\S+)$", (ROOT / "environment.yml").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    listed = [entry for entry in entries if ">=" in entry]
    assert listed == PROJECT["project"]["dependencies"]
    assert "-e .[lab,test]" in (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_every_file_names_the_same_oldest_python() -> None:
    floor = version(PROJECT["project"]["requires-python"])
    assert version(PROJECT["tool"]["pyrefly"]["python-version"]) == floor
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{floor[0]}{floor[1]}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"sys.version_info < {floor}" in makefile
    pinned = re.search(r"- python=(\S+)", (ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert pinned is not None
    assert version(pinned[1]) >= floor


def test_make_clean_removes_every_environment() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = re.findall(r"^([A-Z]+) := \.venv[\w-]*$", makefile, flags=re.MULTILINE)
    assert len(made) >= 3
    cleaned = makefile.split("\nclean:\n")[1]
    assert all(f"$({name})" in cleaned for name in made)


def test_the_citation_names_this_version() -> None:
    cited = re.search(
        r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert cited is not None
    assert cited[1] == nst.__version__


def test_what_builds_a_wheel_is_installed_for_it() -> None:
    (builder,) = PROJECT["build-system"]["requires"]
    assert builder in PROJECT["project"]["optional-dependencies"]["test"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what ``make wheel`` builds, unpacked as an installation has it."""
    pytest.importorskip("hatchling")
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    places = [f"BIN={Path(sys.executable).parent}", f"DIST={folder / 'dist'}"]
    done = subprocess.run(
        ["make", "--old-file", ".venv/.installed", "wheel", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (wheel,) = (folder / "dist").iterdir()
    assert wheel.name == f"nst_utils-{nst.__version__}-py3-none-any.whl"
    assert re.search(rf"The wheel: {re.escape(str(wheel))} \(\d\d MB\)\n", done.stdout)
    shutil.unpack_archive(wheel, folder / "site", "zip")
    return folder / "site"


def test_a_wheel_is_the_package_its_data_and_its_notebooks(unpacked: Path) -> None:
    sources = (path for kind in ("py", "css", "js") for path in ROOT.glob(f"nst_utils/**/*.{kind}"))
    expected = {path.relative_to(ROOT) for path in sources}
    pages = ["data/README.md", "data/weights/LICENSE.md"]
    data = ["data/catalog.json", f"data/{BUNDLED_FILE}", *(f"data/{r['file']}" for r in RECORDS)]
    series = [f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    series.append("notebooks/app/studio.ipynb")
    expected |= {Path("nst_utils", name) for name in [*pages, *data, *series]}
    found = {path for path in (unpacked / "nst_utils").rglob("*") if path.is_file()}
    assert {path.relative_to(unpacked) for path in found} == expected


def test_a_wheel_works_without_a_checkout(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import sys, nst_utils; from nst_utils.cli.parser import main; print(nst_utils.__file__); "
        "sys.exit(main(['notebooks', 'copies']) or main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(unpacked / "nst_utils"))
    assert f"pictures     {len(RECORDS)} bundled" in done.stdout
    series = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == series


def test_a_wheel_carries_every_bundled_file() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in included.items():
        assert (ROOT / source).exists(), source
        assert target == f"nst_utils/{source}"
    needed = ["data/catalog.json", f"data/{BUNDLED_FILE}", "data/weights/LICENSE.md"]
    needed += [f"data/{record['file']}" for record in RECORDS]
    for file in needed:
        assert any(file == source or file.startswith(f"{source}/") for source in included), file


def test_the_devcontainer_calls_what_there_is() -> None:
    """Its Python is new enough, its command and labels name targets, its ports are labelled."""
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)
    image = re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:([\d.]+)", container["image"])
    assert image is not None
    assert version(image[1]) >= version(PROJECT["project"]["requires-python"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)
    called = re.findall(r"make (\w+)", text)
    assert container["postCreateCommand"] == f"make {called[0]}"
    assert {*called} == {"install", "lab", "studio"} & {*targets}
    assert [str(port) for port in container["forwardPorts"]] == [*container["portsAttributes"]]
    (settings,) = (part["settings"] for part in container["customizations"].values())
    (venv,) = re.findall(r"^VENV := (\S+)$", makefile, flags=re.MULTILINE)
    interpreter = f"${{containerWorkspaceFolder}}/{venv}/bin/python"
    assert settings["python.defaultInterpreterPath"] == interpreter


# The bundled pictures.


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["name"])
def test_a_catalog_record_tells_the_truth_about_its_file(record: dict[str, Any]) -> None:
    path = ROOT / "data" / record["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record["sha256"]
    with Image.open(path) as picture:
        assert picture.size == (record["width"], record["height"])
        assert max(picture.size) <= 1024
    assert record["file"] == f"{record['kind']}/{record['name']}.jpg"
    for field in ("title", "author", "source", "license"):
        assert record[field].strip(), f"{field} is empty"
    if record["license"].startswith("CC BY"):
        assert record["author"].split(" (")[0] in record["credit"]
    assert nst.samples()[record["name"]].path.samefile(path)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["name"])
def test_the_data_page_has_a_row_for_every_picture(record: dict[str, Any]) -> None:
    lines = (ROOT / "data" / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{record['file']}` |")]
    size = f"{record['width']}x{record['height']}"
    for part in (record["title"], record["author"], record["year"], size, record["license"]):
        assert part in row
    if record["credit"]:
        assert record["credit"] in "\n".join(lines)


def test_every_picture_is_in_the_catalog_once() -> None:
    found = {
        path.relative_to(ROOT / "data").as_posix()
        for kind in ("content", "style", "photoreal")
        for path in (ROOT / "data" / kind).iterdir()
    }
    assert sorted(record["file"] for record in RECORDS) == sorted(found)
    assert len({record["name"] for record in RECORDS}) == len(RECORDS)


# The source.

# The house, in the order in which one is built on the other; those of a row do not know each other.
FOLDERS: list[list[str]] = [
    ["losses", "support"],
    ["style_statistics", "images", "teaching"],
    ["networks"],
    ["objective"],
    ["optimize", "memory"],
    ["experiments"],
    ["plots"],
    ["many"],
    ["app"],
    ["cli"],
]


def test_the_picture_of_the_house_shows_every_file() -> None:
    """`make architecture` draws it anew."""
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    labels = Counter(re.findall(r">([a-z_0-9]+)</text>", drawn))
    there = [name.split(".")[-1] for name in MODULES if "__" not in name and "." in name]
    rooms = {name.split(".")[0] for name in MODULES if "." in name}
    expected = Counter(there) + Counter(rooms)
    assert {name: labels[name] for name in expected} == expected


def test_the_picture_of_the_house_has_the_numbers_of_its_page() -> None:
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    numbers = re.findall(r">(\d+)</text>.*?>([a-z_0-9 ]+)</text>", drawn, re.DOTALL)
    told = re.findall(r"^(\d+)\. \[`(?:\w+/)?(\w+)\.py`\]", page, re.MULTILINE)
    assert len(told) >= 10
    assert dict(numbers) == dict(told) | {told[-1][0]: "equations 1 to 7"}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("nst_utils")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            if node.module == "nst_utils":
                found |= {f"nst_utils.{alias.name}" for alias in node.names}
            elif node.module and node.module.startswith("nst_utils."):
                of_folder = node.module.removeprefix("nst_utils.") not in MODULES
                named = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {*named} if of_folder else {node.module}
    return {name.removeprefix("nst_utils.") for name in found} - {"__version__"}


def folder_of(module: str) -> str:
    return module.split(".")[0]


def test_every_module_has_its_place() -> None:
    assert len(MODULES) > 50  # so that what runs over all of them cannot run over none
    placed = {name for row in FOLDERS for name in row}
    assert {folder_of(name) for name in MODULES} == placed | {"__init__", "__main__"}


@pytest.mark.parametrize("name", sorted({*MODULES} - {"__init__", "__main__"}))
def test_imports_go_one_way(name: str) -> None:
    place = next(i for i, row in enumerate(FOLDERS) if folder_of(name) in row)
    allowed = {folder_of(name)}.union(*FOLDERS[:place])
    assert {folder_of(each) for each in imported(MODULES[name])} <= allowed


def defined(tree: ast.Module) -> Iterator[str]:
    """The names that a module makes itself."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (
            each.id
            for target in targets
            if target
            for each in ast.walk(target)
            if isinstance(each, ast.Name)
        )


def test_a_name_is_imported_from_where_it_is_made() -> None:
    """Not from a module that happens to have imported it."""
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
    made = {f"nst_utils.{name}": {*defined(tree)} for name, tree in trees.items()}
    found = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in made:
                found += [
                    f"{name}: {each.name} of {node.module}"
                    for each in node.names
                    if each.name not in made[node.module]
                ]
    assert not found


@pytest.mark.parametrize("folder", [name for row in FOLDERS for name in row])
def test_no_imports_go_round_within_a_folder(folder: str) -> None:
    inside = {name: path for name, path in MODULES.items() if folder_of(name) == folder}
    order = TopologicalSorter({name: imported(path) & {*inside} for name, path in inside.items()})
    assert {*order.static_order()} == {*inside}


def test_a_folder_is_no_more_than_its_docstring() -> None:
    """What it gives to others is imported from its modules, so that arrows point at files."""
    for folder in {folder_of(name) for name in MODULES} - {"__init__", "__main__", "losses"}:
        body = ast.parse((ROOT / "nst_utils" / folder / "__init__.py").read_text("utf-8")).body
        assert len(body) == 1
        assert isinstance(body[0], ast.Expr)


def test_no_folder_hides_a_public_name() -> None:
    """Importing ``nst_utils.studio`` would put the folder where the function was."""
    assert not {folder_of(name) for name in MODULES} & {*nst.__all__}


def test_the_tests_mirror_the_folders() -> None:
    for folder in {folder_of(name) for name in MODULES} - {"__init__", "__main__", "losses"}:
        assert list((ROOT / "tests" / folder).glob("test_*.py")), folder


def test_the_equations_need_nothing_else() -> None:
    assert imported(MODULES["losses"]) == set()


def test_the_functions_do_without_the_command_line() -> None:
    assert "cli" not in {folder_of(name) for name in imported(MODULES["__init__"])}


@pytest.mark.parametrize("name", MODULES)
def test_everything_is_said_in_one_way(name: str) -> None:
    """``support.messages``, where a stream that takes nothing ends no work; not by ``print``."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "print" not in [call.id for call in calls if isinstance(call, ast.Name)]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_and_says_what_it_is_for(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 270
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("name", sorted({*MODULES} - {"__main__"}))
def test_the_examples_in_the_docstrings_are_right(name: str) -> None:
    if name == "app.server":
        pytest.importorskip("voila")
    module = nst if name == "__init__" else importlib.import_module(f"nst_utils.{name}")
    assert doctest.testmod(module).failed == 0


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_text_file_knows_where_it_was_made() -> None:
    """Paths of somebody's machine: in home folders, or in the folder where this was written."""
    personal = re.compile(r"(?<![\w.:/~-])(?:/(?:work|home|root|Users)/|[A-Z]:\\Users\\)[\w.]+")
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.name}: {match[0]}" for match in personal.finditer(text)]
    assert found == []


def pages() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in tracked_files() if path.suffix == ".md"]


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = []
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target = (ROOT / page).parent / link.split("#")[0]
            if not re.match(r"[a-z]+:|#", link) and not target.exists():
                broken.append(f"{page}: {link}")
    assert broken == []


def test_commands_in_the_pages_exist() -> None:
    """Each line of a code block that begins with ``nst`` has options that the parser knows."""
    parsed = 0
    for page in pages():
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
            if re.match(r"nst [a-z]", line):
                assert build_parser().parse_args(shlex.split(line, comments=True)[1:])
                parsed += 1
    assert parsed > 0


# What others build on.

# DESIGN: names that are fixed, with their parameters in order; after "*" by name only.
PUBLIC: dict[str, list[str]] = {
    "load_image": ["path|source", "size"],
    "save_image": ["image", "path"],
    "vgg19": ["weights", "*", "pooling", "normalized"],
    "content_loss": ["F", "P"],
    "gram_matrix": ["F"],
    "style_loss": ["F", "A"],
    "reconstruct_content": ["image", "layers"],
    "reconstruct_style": ["image", "layer_sets"],
    "show": ["images", "*", "titles"],
    "plot_history": ["result"],
    "transfer": ["content", "style", "*", "net", "content_weight", "style_weight", "init"],
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "vgg19": {"weights": "bundled", "pooling": "avg", "normalized": "authors"},
    "transfer": {"net": None, "content_weight": 5e-3, "style_weight": 1.0, "init": "noise"}
    | {"steps": 300, "seed": 0, "device": "auto"},
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_fixed_names_take_the_fixed_parameters(name: str) -> None:
    assert name in nst.__all__
    parameters = list(inspect.signature(getattr(nst, name)).parameters.values())
    by_name_only = False
    for i, expected in enumerate(PUBLIC[name]):
        if expected == "*":
            by_name_only = True
        elif by_name_only:
            assert expected in [p.name for p in parameters]
        else:
            assert parameters[i].name in expected.split("|")
            assert parameters[i].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    for parameter, default in DEFAULTS.get(name, {}).items():
        assert inspect.signature(getattr(nst, name)).parameters[parameter].default == default


# What may be given by position though it has a default: what the call is about, as people write it.
BY_POSITION = {
    # A picture and its size, as in nst.resize(image, 256).
    **dict.fromkeys(("load_image", "load_mask", "load_alpha"), "size"),
    # What is to be loaded: nst.vgg19("my.pth").
    **dict.fromkeys(("vgg19", "vgg16", "vgg19_bn", "squeezenet1_1"), "weights"),
    # A picture and its layers: in notebooks, reconstruct_content(photo, ["conv4_2"]).
    "reconstruct_content": "layers",
    "reconstruct_style": "layer_sets",
    "transform_features": "layers",
    "Film": "frames",  # nst.Film([1, 10, 100])
    "Objective.evaluate": "rows",  # pictures, and which rows they stand for
}
# Plain data: Row(photo, painting, ...) is a line of a table, in its columns' order (notebook 09);
# the last three are made by the package and read by others.
DATA = {"Row", "Painting", "Weighting", "Result", "Step", "Sweep"}


def public_callables() -> dict[str, Callable[..., Any]]:
    """Functions, classes and their methods, by name; of presets too, which a function gives."""
    found: dict[str, Callable[..., Any]] = {}
    for name in (*nst.__all__, "Preset"):
        thing = Preset if name == "Preset" else getattr(nst, name)
        if callable(thing):
            found[name] = thing
        for own in vars(thing) if inspect.isclass(thing) else ():
            if not own.startswith("_") and inspect.isroutine(getattr(thing, own)):
                found[f"{name}.{own}"] = getattr(thing, own)
    return found


def test_options_are_given_by_name() -> None:
    """``style_loss(F, A, "mean")`` must not take "mean" for a number of positions."""
    found = {
        name: " ".join(
            p.name
            for p in inspect.signature(thing).parameters.values()
            if p.default is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        )
        for name, thing in public_callables().items()
        if name not in DATA
    }
    assert {name: optional for name, optional in found.items() if optional} == BY_POSITION


# What takes keywords of any name, called with one that it does not know.
WITH_ANY_KEYWORDS: dict[str, Callable[..., Any]] = {
    "studio": nst.studio,
    "sweep": partial(nst.sweep, "chelsea", "china"),
    "Preset.network_settings": nst.preset("paper").network_settings,
    "Preset.transfer_settings": nst.preset("paper").transfer_settings,
    "Preset.build_network": nst.preset("paper").build_network,
    "Preset.transfer": partial(nst.preset("paper").transfer, torch.empty(0), torch.empty(0)),
}


def test_a_misspelled_argument_is_refused_everywhere() -> None:
    of_any_name = {
        name
        for name, thing in public_callables().items()
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(thing).parameters.values())
    }
    assert of_any_name == {*WITH_ANY_KEYWORDS}
    for call in WITH_ANY_KEYWORDS.values():
        with pytest.raises(ValueError, match="unknown setting 'setps'"):
            call(setps=3)


def test_all_lists_what_is_there_in_order() -> None:
    assert len(set(nst.__all__)) == len(nst.__all__)
    for name in nst.__all__:
        assert hasattr(nst, name)


@pytest.mark.parametrize("name", [name for name in nst.__all__ if name != "PRESETS"])
def test_every_public_name_explains_itself(name: str) -> None:
    thing = getattr(nst, name)
    text = inspect.getdoc(thing)
    assert text
    assert not text.startswith(f"{name}("), "the docstring is the one that dataclasses make up"
    if inspect.isfunction(thing) and "Args:" in text:
        if ":func:`transfer`" in text:  # the reconstructions: what is not said is as there
            text += inspect.getdoc(nst.transfer) or ""
        for parameter in inspect.signature(thing).parameters:
            assert re.search(rf"\b{parameter}\b", text), f"{parameter} is not explained"
