"""What is tested here goes on around the network: a thin one is enough."""

from __future__ import annotations

import pytest

import nst_utils as nst


@pytest.fixture(scope="session")
def net(thin_net: nst.Network) -> nst.Network:
    return thin_net
