"""The upload of weights, below the preset that needs some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from nst_utils.app.own_weights import needs_weights, take
from nst_utils.app.page import explained
from nst_utils.app.pictures import clear, uploads
from nst_utils.app.sentences import paragraph
from nst_utils.experiments.presets import preset


class WeightsUpload:
    """A note and a button, where a preset needs weights that are not bundled; else nothing.

    Args:
        say: is told what became of an upload, in a sentence.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say, self._name = say, ""
        self._note = widgets.HTML()
        self._upload = widgets.FileUpload(
            accept=".pth,.pt,.safetensors", multiple=False, description="Upload the weights"
        )
        self._upload.layout.width = "auto"
        self._upload.add_class("nst-weights-upload")
        self._upload.observe(self._take, "value")
        explained(self._upload, "A state dict with torchvision's names; no code in it is run")
        self.widget = widgets.VBox([self._note, self._upload])
        self.widget.add_class("nst-weights")

    def show(self, name: str) -> None:
        """For the preset of that name."""
        self._name = name
        self.widget.layout.display = None if needs_weights(name) else "none"
        network = preset(name).network
        self._note.value = paragraph(
            f"Its weights, torchvision's {network}, are downloaded at the first start (5 MB) and "
            "kept. Where that cannot be, upload the file (.pth or .safetensors)."
        )

    def _take(self, change: dict[str, Any]) -> None:
        for file, content in uploads(change):
            try:
                take(self._name, file, content)
            except (ValueError, OSError) as error:
                self._say(f"Not taken: {error}.")
            else:
                # A run that goes on, and its panels, keep the network that they began with.
                self._say(
                    f"The preset {self._name} uses the weights in {file} from the next start on."
                )
        if change["new"]:
            clear(self._upload)
