"""Write the repository's address into the notebooks: the Colab badge and the install cell.

    python notebooks/stamp.py

The address stands in one place, pyproject.toml:

    [project.urls]
    Repository = "https://github.com/OWNER/NAME"

As long as it is not there, the badge says so instead of pointing nowhere, and the install cell
takes a wheel (`make wheel`) or a copy of the repository that it finds on Colab, or asks for one.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import nbformat
from render import write

FOLDER = Path(__file__).resolve().parent
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
INSTALL = """# On Colab this installs nst_utils; anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install -q "nst-utils @ git+{address}"
"""
# Without an address, from a file. --no-deps, since Colab has what nst_utils needs, and a torch from
# PyPI in the place of Colab's own could be built for another driver than the machine has.
INSTALL_FILE = """# On Colab this installs nst_utils; anywhere else it does nothing.
import re
import sys
from pathlib import Path

if colab := sys.modules.get("google.colab"):
    roots = [Path("/content/drive/MyDrive"), Path("/content")]
    kinds = ["*/nst_utils/..", "*nst*.zip", "nst_utils-*-any.whl"]  # a folder, a zip, a wheel
    found = [file for kind in kinds for root in roots for file in root.glob(kind)]
    found.sort(key=lambda f: (f.suffix == ".whl", [int(n) for n in re.findall(r"\\d+", f.name)]))
    if not found:
        print("Choose a wheel (`make wheel` builds it; keep its name) or a zip of the repository:")
        found = [*colab.files.upload()]
    if found:
        %pip install -q --no-deps "{found[-1]}"
"""


def repository(pyproject: Path) -> str:
    """The address in pyproject.toml, or an empty string; ``ValueError`` for another than GitHub's.

    Colab opens notebooks from GitHub only.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository", "").removesuffix("/").removesuffix(".git")
    if address and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        raise ValueError(
            f"{pyproject.name}: Repository is {address}; give https://github.com/OWNER/NAME"
        )
    return address


def badge(address: str, name: str) -> str:
    """The text of the cell ``colab`` of the notebook ``name``."""
    if not address:
        return (
            "*Runs here in JupyterLab (`make lab`). There is no Colab button yet, because the "
            "repository has no public address. On Colab, upload this notebook (File, Upload "
            "notebook); the next cell installs the wheel that `make wheel` builds, or a zip of the "
            "repository, from the Files panel or a mounted Drive, or else asks for one.*"
        )
    page = address.replace("https://github.com", "https://colab.research.google.com/github")
    return f"[![Open this notebook in Google Colab]({BADGE})]({page}/blob/main/notebooks/{name})"


def install(address: str) -> str:
    """The text of the cell ``install``."""
    return (INSTALL.replace("{address}", address) if address else INSTALL_FILE).rstrip()


def stamp(notebook: Any, name: str, address: str) -> None:
    """Fill the cells ``colab`` and ``install``; ``ValueError`` if one of them is missing."""
    cells = {cell["id"]: cell for cell in notebook.cells}
    for cell_id, text in (("colab", badge(address, name)), ("install", install(address))):
        if cell_id not in cells:
            raise ValueError(f"{name} has no cell with the id {cell_id}; add one")
        cells[cell_id].source = text


def main() -> None:
    address = repository(FOLDER.parent / "pyproject.toml")
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        stamp(notebook, path.name, address)
        write(notebook, path)
    print(f"stamped with {address or 'no address: there is none in pyproject.toml'}")


if __name__ == "__main__":
    main()
