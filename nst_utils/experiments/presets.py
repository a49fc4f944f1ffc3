"""Complete settings by name, each value with its source. ``paper`` is the default everywhere.

``poster`` is for a picture to hang up. The others are two later codes of the paper's authors, and
four projects that people use, as they are. A preset is only settings: all run through
:func:`nst_utils.transfer`, and any single one can be given another value.
"""

from __future__ import annotations

from nst_utils.experiments.complete_settings import Preset, side_by_side
from nst_utils.experiments.defaults import CONTENT_LAYERS, CONTENT_WEIGHT, STYLE_LAYERS
from nst_utils.objective.formulas import Formulas
from nst_utils.optimize.settings import Settings
from nst_utils.support import checks

# The standard deviation that torchvision's preprocessing divides by, on average: lengths in such
# units are that much shorter on the 0..1 scale, and squares of differences 19.6 times larger.
_STD = 0.226

PRESETS = {
    "paper": Preset(
        summary="Gatys, Ecker & Bethge, CVPR 2016",
        network="vgg19",  # section 2
        weights="bundled",  # the VGG authors' own release, which the paper used
        pooling="avg",  # section 2: average pooling instead of max pooling
        normalized="authors",  # section 2: mean activation of every filter is 1
        # Paper: zeros, as the network was trained. Here: the picture's edge again, because zeros
        # leave a bright rim (benchmarks/README.md).
        padding="nearest",
        precision="float32",
        content_layers=CONTENT_LAYERS,  # section 3: conv4_2
        style_layers=STYLE_LAYERS,  # section 3: conv1_1 to conv5_1
        style_layer_weights=None,  # section 3: w_l = 1/5
        content_weight=CONTENT_WEIGHT,  # figure 3 has 1e-3 (B), 8e-4, 5e-3, 5e-4, 5e-4
        style_weight=1.0,
        content_reduction=Formulas.content_reduction,  # ours: see losses.content_loss
        style_reduction=Formulas.style_reduction,  # eq. 4
        style_statistics="gram",  # eq. 3
        tv_weight=0.0,  # section 2: no image prior
        init="noise",  # section 3.3: white noise, except where said
        optimizer=Settings.optimizer,  # section 2
        learning_rate=Settings.learning_rate,  # of Adam, which the paper does not use
        exact=False,
        steps=Settings.steps,  # ours: the paper gives no number
        smaller_first=None,
    ),
    # For a picture to hang up: what github.com/crowsonkb/style-transfer-pytorch minimizes, by
    # L-BFGS, which comes to much the same picture in a third of the time (benchmarks/poster.py).
    # Losses go with the square of the responses, and those of the Oxford release are 57.6 times as
    # large as with torchvision's input; our distance has the factor 0.025.
    "poster": Preset(
        summary="for the wall: from the photograph, growing, Wasserstein distances, little grain",
        network="vgg19",
        weights="bundled",  # theirs: torchvision's
        pooling="max",
        normalized="none",
        padding="nearest",
        precision="float32",
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        style_layer_weights=tuple(weight / 341 for weight in (256, 64, 16, 4, 1)),
        content_weight=2 * 0.015 * 0.025,  # times 2, because eq. 1 has one half
        style_weight=1.0,
        content_reduction="mean",
        style_reduction="paper",
        style_statistics="wasserstein",
        # Three times theirs, in place of the running mean: as little grain (benchmarks/README.md).
        tv_weight=3 * 2 * 57.6**2 * 0.025,
        tv_reduction="mean",  # the same in every size
        tv_color=40.0,  # theirs: 1, and specks of color, at much the same loss of style
        init="content",
        optimizer="lbfgs",  # theirs: Adam, and a running mean of its pictures
        learning_rate=Settings.learning_rate,
        exact=False,
        steps=300,  # theirs: 1000 at the smallest size and 500 at each other
        smaller_first="growing",
    ),
    # The authors' later code for the normalized network: github.com/leongatys/NeuralImageSynthesis,
    # BasicStyleTransfer.ipynb and LossLayers.lua.
    "gatys-2016": Preset(
        summary="the authors' later code: from the photograph, small and then at twice the size",
        network="vgg19",
        weights="bundled",
        pooling="avg",
        normalized="authors",  # vgg_normalised.caffemodel, read off by benchmarks/normalization.py
        padding="zeros",
        precision="float32",
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        style_layer_weights=None,  # 1e9 / 5 for each
        # 1e6 times the mean square, ours has one half: 2e6; style, 1e9 times 4 E_l: 4e9. The ratio
        # is the least one of figure 3.
        content_weight=2e6,
        style_weight=4e9,
        content_reduction="mean",  # LossLayers.lua
        style_reduction="paper",  # mean of (G - A)^2 over N^2, G divided by M: 4 E_l
        init="content",  # init = 'image'
        optimizer="lbfgs",
        learning_rate=Settings.learning_rate,
        exact=True,
        # 500 iterations, then 200 at twice the size. Theirs: 512 and 1024 px are the square root of
        # the area (load_image(..., by="area")). Here: the full size is the picture's.
        steps=700,
        smaller_first={0.5: 500},
    ),
    # The authors' PyTorch code, for the network as released: leongatys/PytorchNeuralStyleTransfer.
    "gatys-pytorch": Preset(
        summary="the authors' PyTorch code: network as released, from the photograph, then larger",
        network="vgg19",
        weights="bundled",  # vgg_conv.pth is the same release
        pooling="max",  # VGG(pool='max') is its default
        normalized="none",
        padding="zeros",
        precision="float32",
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        # 1e3 / N^2 on the mean over N^2 of the squared difference of G / M, which is 4 E_l.
        style_layer_weights=tuple(4e3 / N**2 for N in (64, 128, 256, 512, 512)),
        content_weight=2.0,  # 1 on the mean square; ours has one half
        style_weight=1.0,
        content_reduction="mean",
        style_reduction="paper",
        init="content",  # opt_img = content_image.clone()
        optimizer="lbfgs",
        learning_rate=Settings.learning_rate,
        exact=True,
        # 500 iterations at 512 px, then 200 at 800 px, of the shorter side. Theirs: pixels are free
        # during the run and clamped after it. Here: always within 0..1, as everywhere.
        steps=700,
        smaller_first={0.64: 500},
    ),
    # github.com/KimRass/Gatys-et-al.-2016: main.py, config.py and README.
    "kimrass": Preset(
        summary="lambda L_content + L_style, equations as printed, network not normalized, Adam",
        network="vgg19",
        # Theirs: torchvision's numbers. Here: the bundled ones, because they need no download.
        # With weights="torchvision" lambda is some 1e-8, their script's default: that network takes
        # pictures in units 58 times larger (0.226 * 255 gray levels) and so responds less.
        weights="bundled",
        pooling="avg",  # main.py puts average poolings in
        normalized="none",  # their README says so
        padding="zeros",
        precision="float32",
        content_layers=("conv4_2",),  # config.py: module 21
        style_layers=STYLE_LAYERS,  # config.py: modules 0, 5, 10, 19, 28
        style_layer_weights=(0.2, 0.2, 0.2, 0.2, 0.2),  # config.py
        content_weight=2e-3,  # lambda = alpha / beta; the README's sample
        style_weight=1.0,
        content_reduction="sum",  # main.py: half the sum of squares, eq. 1 as printed
        style_reduction="paper",  # main.py: eq. 4 as printed
        init="content",  # config.py: FROM_CONTENT_IMAGE = True
        optimizer="adam",  # main.py: "much faster"
        # config.py: 0.12, in units of the normalized picture; it was 1, which leaves rainbow noise.
        learning_rate=0.12 * _STD,
        exact=False,
        steps=150,  # config.py, when the rate was 1
        smaller_first=None,
    ),
    # github.com/superb20/Image-Style-Transfer-Using-Convolutional-Neural-Networks: codes/main.py.
    "keras-adam": Preset(
        summary="Keras: Adam, max pooling, shallow layers weigh most",
        network="vgg19",
        weights="bundled",  # keras.applications has the same Oxford release
        pooling="max",  # the network as it comes
        normalized="none",
        padding="zeros",
        precision="float32",
        # The code has block5_conv2; its page compares conv4_2 with conv2_2. At this ratio conv4_2
        # gives the photograph with another tint, since the deep style layers hardly count.
        content_layers=("conv5_2",),
        style_layers=STYLE_LAYERS,
        # A fifth each, but every layer is divided by the size of the picture instead of its own,
        # a quarter for each pooling: by 1, 16, 256, ... more in the square.
        style_layer_weights=tuple(0.2 / 16**pooled for pooled in range(5)),
        content_weight=8e-4,
        style_weight=8e-1,
        content_reduction="sum",  # half the sum of squares
        style_reduction="paper",
        init="noise",  # or content, one comment away
        optimizer="adam",
        # 8 gray levels, times 0.98 every 445 steps. Theirs: continuously. Here: in steps.
        learning_rate={1 + 445 * k: 8 / 255 * 0.98**k for k in range(7)},
        exact=False,
        steps=3000,
        smaller_first=None,
    ),
    # The loop of Udacity's course "Intro to Deep Learning with PyTorch", in hundreds of projects.
    "content-start": Preset(
        summary="starts from the photograph; mean squares, a weight for each layer, small steps",
        network="vgg19",
        weights="bundled",  # theirs: torchvision's, see kimrass; style prevails with either
        pooling="max",  # the network as it comes
        normalized="none",
        padding="zeros",
        precision="float32",
        content_layers=("conv4_2",),
        style_layers=STYLE_LAYERS,
        style_layer_weights=(1.0, 0.75, 0.2, 0.2, 0.2),
        content_weight=2.0,  # 1; times 2, because eq. 1 has one half
        style_weight=1e6,
        content_reduction="mean",
        style_reduction="values",  # mean square of G - A, divided by the number of values
        init="content",
        optimizer="adam",
        learning_rate=0.003 * _STD,  # 0.003, in units of the normalized picture
        exact=False,
        steps=2000,
        smaller_first=None,
    ),
    # The style transfer of Stanford's course CS231n, total = 1 content + 2 style + 1e-3 variation.
    # Its other example, The Scream, has other weights: content_weight=2 * 3e-2 and
    # style_layer_weights=(200000, 800, 12, 1).
    "squeezenet-tv": Preset(
        summary="SqueezeNet 1.1, total variation, Adam with large steps from the photograph",
        network="squeezenet1_1",
        weights="torchvision",
        pooling="max",  # the network as it comes
        normalized="none",
        padding="zeros",
        precision="float32",
        content_layers=("fire2",),  # module 3
        style_layers=("conv1", "fire3", "fire4", "fire5"),  # modules 1, 4, 6, 7
        style_layer_weights=(300000.0, 1000.0, 15.0, 3.0),
        content_weight=2 * 6e-2,  # 6e-2; times 2, because eq. 1 has one half
        style_weight=2.0,
        content_reduction="sum",
        style_reduction="sum",  # of squares of G / (number of values) - A / (number of values)
        tv_weight=1e-3 * 2e-2 / _STD**2,  # 1e-3 times 2e-2, on the normalized picture
        init="content",
        optimizer="adam",
        learning_rate={1: 3 * _STD, 181: 0.1 * _STD},  # 3, and 0.1 from iteration 180, from 0 on
        exact=False,
        steps=200,
        smaller_first=None,
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name; ``ValueError`` with the nearest name for an unknown one."""
    return PRESETS[checks.one_of("preset", name, tuple(PRESETS))]


def preset_table() -> str:
    """All presets side by side as plain text, one setting a row; below it, what each is."""
    return side_by_side(PRESETS)
