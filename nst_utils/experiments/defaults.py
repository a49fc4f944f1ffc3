"""What the experiments of the paper are where nothing else is said, and what can be chosen."""

from __future__ import annotations

# Figure 3: content from conv4_2, style from five layers, each with the weight w_l = 1/5.
CONTENT_LAYERS = ("conv4_2",)
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
# alpha/beta, the largest of figure 3, which has 5e-4 to 5e-3: there the photograph is plain to
# see, in strokes (benchmarks/README.md).
CONTENT_WEIGHT = 5e-3

INITS = ("noise", "content", "style")
PRESERVE_COLORS = ("luminance", "statistics")

# Where responses are transformed: AdaIN's layer.
TRANSFORM_LAYERS = ("conv4_1",)

# Figure 1.
RECONSTRUCTION_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
STYLE_LAYER_SETS = tuple(STYLE_LAYERS[:depth] for depth in range(1, len(STYLE_LAYERS) + 1))

# Dots to an inch of a picture that is to hang on a wall.
DPI = 300
