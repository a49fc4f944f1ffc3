"""AdaIN and WCT, inverted by the content loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import nst_utils as nst
from nst_utils.style_statistics.transforms import TRANSFORMS

QUIET: dict[str, Any] = {"progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return nst.load_image("chelsea", 64)


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return nst.load_image("starry-night", 72)


@pytest.mark.parametrize("method", TRANSFORMS)
def test_the_picture_comes_to_have_the_transformed_responses(
    thin_net: nst.Network, photograph: Tensor, painting: Tensor, method: str
) -> None:
    layer = "conv2_1"
    result = nst.transform_features(
        photograph, painting, [layer], method=method, net=thin_net, steps=40, **QUIET
    )
    assert result.image.shape == photograph.shape
    F, A, found = (thin_net(x, [layer])[layer] for x in (photograph, painting, result.image))
    aim = TRANSFORMS[method](F, A).relu()  # which is as near as responses come
    assert (found - aim).square().mean() < 0.4 * (F - aim).square().mean()
    assert (found - aim).square().mean() < (found - F).square().mean()


def test_without_strength_nothing_changes(
    thin_net: nst.Network, photograph: Tensor, painting: Tensor
) -> None:
    result = nst.transform_features(
        photograph, painting, ["conv3_1"], strength=0, net=thin_net, steps=2, **QUIET
    )
    torch.testing.assert_close(result.image, photograph, rtol=0, atol=1e-3)


def test_layers_follow_one_another(
    thin_net: nst.Network, photograph: Tensor, painting: Tensor
) -> None:
    """The second begins with the picture of the first."""
    first = nst.transform_features(
        photograph, painting, ["conv3_1"], net=thin_net, steps=3, **QUIET
    )
    then = nst.transform_features(
        photograph, painting, ["conv3_1", "conv1_1"], net=thin_net, steps=3, **QUIET
    )
    again = nst.transform_features(
        first.image, painting, ["conv1_1"], net=thin_net, steps=3, **QUIET
    )
    assert torch.equal(then.image, again.image)
    assert then.evaluations == first.evaluations + again.evaluations


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "adaine"}, "method.*adain"),
        ({"strength": 1.5}, "strength must be from 0 to 1, got 1.5"),
        ({"strength": -1}, "strength"),
        ({"layers": ["conv9_1"]}, "layer.*conv9_1"),
        ({"init": "nose"}, "init.*noise"),
    ],
)
def test_bad_settings_are_sentences(
    thin_net: nst.Network, photograph: Tensor, painting: Tensor, options: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        nst.transform_features(photograph, painting, net=thin_net, steps=1, **options, **QUIET)
