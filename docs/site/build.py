"""Makes the site: ``python docs/site/build.py`` writes it to build/site/html and checks it.

``--external`` also asks the outside addresses that the pages link to.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent
ROOT = SITE.parents[1]
sys.path.insert(0, str(SITE))

import api  # noqa: E402
import check  # noqa: E402
from sphinx.cmd.build import main as sphinx  # noqa: E402
from stage import MADE_OF, SiteError, Stage  # noqa: E402


def make_slides(path: Path) -> int:
    """The lecture beside the pages of the course; its exit code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, ROOT / "course" / "slides.py", "-o", path]
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    sys.stderr.buffer.write(run.stderr)
    return run.returncode


def main() -> int:
    """Exit code 0 if the site is there and nothing is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=ROOT / "build" / "site", type=Path)
    parser.add_argument("--external", action="store_true", help="check outside addresses, too")
    asked = parser.parse_args()
    source, html = asked.folder / "source", asked.folder / "html"
    try:
        Stage(ROOT, source).lay_out()
    except SiteError as error:
        print(f"docs/site: {error}", file=sys.stderr)
        return 1
    if code := make_slides(source / "_extra" / MADE_OF["course/slides.md"]):
        return code
    api.write_pages(ROOT, source / "api")
    shutil.rmtree(html, ignore_errors=True)  # pages that are no more would stay
    settings = ["-q", "-W", "--keep-going", "-E", "-c", str(SITE)]
    settings += ["-D", f"html_extra_path={source / '_extra'}"]
    settings += ["-d", str(asked.folder / "doctrees"), str(source)]
    if code := sphinx(["-b", "html", *settings, str(html)]):
        return code
    if asked.external and (
        code := sphinx(["-b", "linkcheck", *settings, str(asked.folder / "links")])
    ):
        return code
    return check.main([str(html)])


if __name__ == "__main__":
    sys.exit(main())
