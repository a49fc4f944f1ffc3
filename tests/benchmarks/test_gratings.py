"""The frequencies are where the map has them, and of two amplitudes the better one counts."""

from __future__ import annotations

import pytest
import torch
from benchmark_scripts import script
from torch import Tensor

gratings = script("gratings")
SIDE = 144


@pytest.mark.parametrize(("down", "across"), [(0, 12), (12, 12), (6, 8), (9, 5)])
def test_a_grating_is_found_at_its_frequency(down: int, across: int) -> None:
    wave = gratings.grating(down, across, (SIDE, SIDE))
    power = gratings.spectrum(0.5 + 0.1 * wave.expand(1, 3, -1, -1), torch.ones_like(wave))
    assert divmod(int(power.argmax()), 13) == (down, across)


def test_what_is_smoothed_keeps_its_brightness() -> None:
    gray = torch.full((1, 3, 40, 50), 0.3)
    torch.testing.assert_close(gratings.blurred(gray, 3), gray)
    wave = gratings.grating(8, 0, (SIDE, SIDE))
    assert gratings.blurred(wave, 3)[..., 9:-9, 9:-9].abs().max() < 1e-3


def test_the_better_amplitude_counts_where_the_photograph_is_smooth() -> None:
    """One loss is least where the variance left of the middle is that of the first amplitude."""
    picture = torch.full((1, 3, 48, 48), 0.5)
    smooth = torch.zeros(1, 1, 48, 48)
    smooth[..., :24] = 1
    wished = gratings.AMPLITUDES[0] ** 2 / 2

    def losses(x: Tensor) -> Tensor:
        left, right = x[..., :24], x[..., 24:]
        return torch.stack([(left.var() / wished - 1).abs(), right.var()])

    before, change = gratings.changes(picture, smooth, losses)
    assert change.shape == (13, 13, 2)
    assert change[0, 0].tolist() == [0, 0]
    assert before[0] == 1
    assert change[6, 8, 0] == pytest.approx(-1, abs=0.01)  # the second would give +2
    assert change[..., 1].abs().max() < 1e-9
