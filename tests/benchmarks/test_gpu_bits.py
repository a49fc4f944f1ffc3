"""The stage of benchmarks/gpu.py that runs the same twice, rehearsed on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmark_scripts import script

import nst_utils as nst
from nst_utils.networks.network import Network


@pytest.mark.parametrize("differ", [False, True])
def test_it_tells_whether_runs_are_the_same(
    differ: bool, thin_net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = script("gpu")
    monkeypatch.setattr(nst, "vgg19", lambda **_: thin_net)
    if differ:  # as by chance
        made, count = nst.transfer, iter(range(100))

        def by_chance(*pictures: Any, **options: Any) -> nst.Result:
            result = made(*pictures, **options)
            result.image += 1e-6 * next(count)
            return result

        monkeypatch.setattr(nst, "transfer", by_chance)
    told = gpu.bits("cpu", 32, tmp_path)
    assert json.loads(json.dumps(told)) == told
    for precision in ("float32", "auto"):
        found = told[f"{precision}, deterministic"]
        assert found["after step"] == 3
        assert found["the same bits"] is found["the same bits, taken up again"] is not differ
        assert told[f"{precision}, as it comes"]["the same bits"] is not differ
    assert not list(tmp_path.iterdir())
