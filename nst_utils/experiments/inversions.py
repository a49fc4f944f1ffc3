"""AdaIN and WCT without a decoder: set the statistics of a layer at once, then find the picture.

Their authors train a network that turns responses back into a picture. Here the picture is found as
in the content reconstructions of figure 1, from responses that no photograph ever had.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nst_utils.experiments.arguments import known_layers, objective_maker, start_picture
from nst_utils.experiments.defaults import TRANSFORM_LAYERS
from nst_utils.networks.architectures import check_layers
from nst_utils.networks.network import Network
from nst_utils.objective.rows import Row
from nst_utils.optimize.loop import minimize
from nst_utils.optimize.results import Callback, Result, listed, plain_settings
from nst_utils.optimize.settings import Settings
from nst_utils.style_statistics.transforms import TRANSFORMS
from nst_utils.support import checks
from nst_utils.support.neutral import neutral


@neutral()
def transform_features(
    content: Tensor,
    style: Tensor,
    layers: Sequence[str] = TRANSFORM_LAYERS,
    *,
    method: str = "wct",
    strength: float = 1.0,
    net: Network | None = None,
    init: str | Tensor = "content",
    seed: int = 0,
    device: str = "auto",
    steps: int = 100,
    callback: Callback | None = None,
    progress: bool = True,
) -> Result:
    """Style transfer by a transform of the responses, and a search for the picture that has them.

    Layer by layer, the responses to the picture so far get the painting's statistics, and a picture
    is found with these responses (eq. 1), starting from the one so far.

    Args:
        content: (1, 3, H, W), RGB, 0..1. style: (1, 3, H', W'), of any size.
        layers: by name, in the order in which they are transformed: from the deepest up is from
            coarse to fine, as Li et al. (NIPS 2017) do it.
        method: ``"adain"`` or ``"wct"`` (see :mod:`nst_utils.style_statistics.transforms`).
        strength: 0..1, how much of the transform; 0 gives the photograph back.
        net, seed, device: as for :func:`nst_utils.transfer`.
        init: where the first layer's search begins: ``"content"``, ``"noise"``, ``"style"``, or a
            picture.
        steps: for each layer. callback, progress: see :func:`nst_utils.minimize`.

    Returns:
        A result whose history is that of the last layer; ``seconds`` and ``evaluations`` are those
        of all.

    Raises:
        ValueError: as :func:`nst_utils.transfer`.
    """
    (layers,) = listed(layers)
    settings = plain_settings(locals())
    checks.one_of("method", method, tuple(TRANSFORMS))
    strength = checks.weight("strength", strength)
    if strength > 1:
        raise ValueError(f"strength must be from 0 to 1, got {strength:g}")
    checks.function("callback", callback)
    photograph, painting = checks.one_image("content", content), checks.one_image("style", style)
    names = check_layers(layers, known=known_layers(net))
    picture = start_picture(init, photograph, painting, seed)
    asked = Row(photograph, painting, dict.fromkeys(names, 1.0), content_weight=1.0)
    size = photograph.shape[2:]
    make_objective = objective_maker(
        net, [asked], device, size=size, optimizer=Settings.optimizer, tile=None
    )
    net = make_objective([asked]).net
    seconds, evaluations, so_far = 0.0, 0, photograph
    for layer in names:
        with torch.no_grad():
            F, A = (net(each.to(net.mean), [layer])[layer] for each in (so_far, painting))
            aim = strength * TRANSFORMS[method](F, A) + (1 - strength) * F
        row = Row(so_far, None, {layer: 1.0}, content_weight=1.0, responses={layer: aim})
        result = minimize(
            make_objective([row]),
            picture,
            steps=steps,
            callback=callback,
            progress=progress,
            settings=settings,
        )
        seconds, evaluations = seconds + result.seconds, evaluations + result.evaluations
        picture = so_far = result.image
        if result.interrupted or result.trouble:
            break
    result.seconds, result.evaluations = seconds, evaluations
    return result
