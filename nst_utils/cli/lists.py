"""The commands that print what there is."""

from __future__ import annotations

from argparse import Namespace

from nst_utils.experiments.presets import preset_table
from nst_utils.images.names import samples


def presets_command(_: Namespace) -> int:
    print(preset_table())
    return 0


def samples_command(_: Namespace) -> int:
    width = max(len(name) for name in samples())
    for sample in samples().values():
        year = f", {sample.year}" if sample.year else ""
        about = f"{sample.title} ({sample.author}{year}; {sample.license})"
        print(f"{sample.name:<{width}}  {sample.kind:<9}  {about}")
    return 0
