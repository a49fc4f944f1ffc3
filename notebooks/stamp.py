"""Write the repository's address into the notebooks: the Colab badge and the install cell.

    python notebooks/stamp.py

The address stands in one place, pyproject.toml:

    [project.urls]
    Repository = "https://github.com/OWNER/NAME"

As long as it is not there, badge and install cell say so, instead of pointing nowhere.
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
            "repository has no public address; the README tells how to run it on Colab from a "
            "copy.*"
        )
    page = address.replace("https://github.com", "https://colab.research.google.com/github")
    return f"[![Open this notebook in Google Colab]({BADGE})]({page}/blob/main/notebooks/{name})"


def install(address: str) -> str:
    """The text of the cell ``install``."""
    if address:
        return INSTALL + f'%pip install -q "nst-utils @ git+{address}"'
    return INSTALL + (
        'print("Upload the repository, then: %pip install -q /content/NAME-OF-ITS-FOLDER")'
    )


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
