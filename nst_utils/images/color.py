"""Keeping a photograph's colors.

The two ways of Gatys, Bethge, Hertzmann & Shechtman, "Preserving Color in Neural Artistic Style
Transfer" (2016): paint in brightness only and take the colors from the photograph; or, before
painting, give the painting the photograph's mean color and covariance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nst_utils.support.neutral import neutral

# Rec. 601, as in the YIQ space that the authors use: the brightness of red, green and blue.
_BRIGHTNESS = (0.299, 0.587, 0.114)


def luminance(image: Tensor) -> Tensor:
    """Brightness, (B, 3, H, W) -> (B, 1, H, W): Y of YIQ, 0..1."""
    weights = image.new_tensor(_BRIGHTNESS).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def is_gray(image: Tensor) -> bool:
    """Whether a picture (B, 3, H, W), 0..1, has no colors, up to half a gray level."""
    return bool((image.amax(1) - image.amin(1)).max() < 0.5 / 255)


def as_gray(image: Tensor) -> Tensor:
    """The brightness of (B, 3, H, W) in three equal channels."""
    return luminance(image).expand(-1, 3, -1, -1).contiguous()


def match_luminance(style: Tensor, content: Tensor) -> Tensor:
    """The painting in gray, with the photograph's mean and spread of brightness.

    Args:
        style, content: (1, 3, H, W), RGB, 0..1; of any sizes.

    Returns:
        (1, 3, H, W) of the painting's size, three equal channels, clamped to 0..1.
    """
    painting, photograph = luminance(style), luminance(content.to(style))
    spread = _spread(photograph) / _spread(painting).clamp(min=1e-6)
    matched = (painting - painting.mean()) * spread + photograph.mean()
    return matched.clamp(0, 1).expand(-1, 3, -1, -1).contiguous()


def with_color_of(image: Tensor, content: Tensor) -> Tensor:
    """The brightness of ``image`` with the colors of ``content``, clamped to 0..1.

    I and Q of YIQ are left as the photograph has them. Changing Y alone is adding the same value to
    red, green and blue.

    Args:
        image: (B, 3, H, W), RGB, 0..1. content: (1, 3, H, W).
    """
    return (content + luminance(image) - luminance(content)).clamp(0, 1)


@neutral()
def match_color(style: Tensor, content: Tensor) -> Tensor:
    """The painting with the photograph's mean color and color covariance.

    x -> C^(1/2) S^(-1/2) (x - mu_S) + mu_C, with S and C the covariances of the pixels: of their
    two solutions the one of Image Analogies, which does not depend on the order of the channels.

    Args:
        style, content: (1, 3, H, W), RGB, 0..1; of any sizes.

    Returns:
        (1, 3, H, W) of the painting's size, clamped to 0..1.
    """
    painting, photograph = (picture.cpu().double().flatten(2)[0] for picture in (style, content))
    # Of a gray painting, the missing colors count as noise; a gray photograph has none to give.
    change = _power(_covariance(photograph), 0.5, 0) @ _power(_covariance(painting), -0.5, 1e-6)
    centered = painting - painting.mean(1, keepdim=True)
    matched = change @ centered + photograph.mean(1, keepdim=True)
    return matched.view_as(style).to(style).clamp(0, 1)


def _spread(brightness: Tensor) -> Tensor:
    """The standard deviation; of a single pixel 0, not NaN."""
    return brightness.std(correction=min(1, brightness.numel() - 1))


def _covariance(pixels: Tensor) -> Tensor:
    """(3, n) -> (3, 3); of a single pixel 0, not NaN."""
    return torch.cov(pixels, correction=min(1, pixels.shape[1] - 1))


def _power(covariance: Tensor, exponent: float, least: float) -> Tensor:
    """A symmetric matrix to some power, its eigenvalues no smaller than ``least``."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=least) ** exponent) @ vectors.T
