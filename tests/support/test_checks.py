"""What is accepted comes back unchanged; what is not is refused in one sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nst_utils.support import checks


@given(value=st.integers(), least=st.integers(-5, 5), most=st.integers(6, 50) | st.just(math.inf))
def test_counts_within_their_limits_pass(value: int, least: int, most: float) -> None:
    if least <= value <= most:
        assert checks.count("steps", value, least, most) == value
        return
    with pytest.raises(ValueError, match=r"\Asteps must be a whole number .*") as caught:
        checks.count("steps", value, least, most)
    assert f"got {value}" in str(caught.value)
    assert str(least) in str(caught.value)


@pytest.mark.parametrize("value", [True, 1.0, "3", None, np.float64(2), torch.tensor(3), [1]])
def test_a_count_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match="size must be a whole number of at least 1"):
        checks.count("size", value)


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(3)])
def test_numpys_whole_numbers_become_pythons(value: Any) -> None:
    assert checks.count("size", value) == 3
    assert type(checks.count("size", value)) is int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (1e-3, 1e-3),
        ("2.5", 2.5),
        (1e30, 1e30),
        (np.float32(0.5), 0.5),
        (torch.tensor(4.0), 4.0),
    ],
)
def test_weights_become_floats(value: Any, expected: float) -> None:
    assert checks.weight("alpha", value) == expected
    assert type(checks.weight("alpha", value)) is float


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, -1, -1e-300, 1e-31, 1e31, 10**400),
        *("nan", "x", "", None, [1.0], torch.ones(2)),
    ],
)
def test_impossible_weights_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\Aalpha must be .*, got"):
        checks.weight("alpha", value)


def test_every_weight_that_passes_survives_in_float32_and_squared_in_float64() -> None:
    for value in (1e-30, 1e30):
        number = checks.weight("alpha", value)
        assert 0 < np.float32(number) < math.inf
        assert 0 < number**2 < math.inf


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("conv42", "conv4_2"),
        ("Conv5_1", "conv5_1"),
        ("relu4_2", None),
        ("", None),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(name: str, suggestion: str | None) -> None:
    known = ("conv1_1", "conv4_2", "conv5_1")
    with pytest.raises(ValueError, match=f"unknown layer '{name}'; .*Known: conv1_1, conv4_2, con"):
        checks.one_of("layer", name, known)
    text = checks.unknown("layer", name, known)
    assert (f"did you mean '{suggestion}'?" in text) == (suggestion is not None)


def test_a_known_name_comes_back() -> None:
    assert checks.one_of("layer", "b", ("a", "b")) == "b"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_pictures_come_back_as_they_are(dtype: torch.dtype) -> None:
    picture = torch.rand(2, 3, 4, 5).to(dtype)
    assert checks.images("content", picture) is picture


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.zeros((1, 3, 4, 4)), "got ndarray"),
        (None, "got NoneType"),
        ("photo.jpg", "got str"),
        (torch.zeros(3, 4, 4), r"got \(3, 4, 4\)"),
        (torch.zeros(1, 4, 4, 3), r"got \(1, 4, 4, 3\)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "uint8"),
        (torch.zeros(1, 3, 0, 4), "empty"),
        (torch.tensor([0.0, math.nan, 0.0]).view(1, 3, 1, 1), "NaN"),
        (torch.tensor([0.0, -math.inf, 0.0]).view(1, 3, 1, 1), "infinite"),
    ],
)
def test_what_is_no_picture_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"\Acontent .*{reason}"):
        checks.images("content", value)


def test_one_picture_is_one_picture() -> None:
    picture = torch.rand(1, 3, 4, 5)
    assert checks.one_image("content", picture) is picture
    with pytest.raises(ValueError, match=r"content holds 2 pictures.*content\[:1\]"):
        checks.one_image("content", picture.repeat(2, 1, 1, 1))
    with pytest.raises(ValueError, match="content must be a tensor"):
        checks.one_image("content", picture[0])


@pytest.mark.parametrize("name", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu_is_always_there(name: str | torch.device) -> None:
    assert checks.device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert checks.device() == checks.device("auto") == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("gpu", "Known: auto, cpu, cuda, mps"),
        ("cud", "did you mean 'cuda'"),
        ("", "Known: auto"),
        ("cuda", "use 'auto' or 'cpu'"),
        ("cuda:0", "use 'auto' or 'cpu'"),
        ("mps", "use 'auto' or 'cpu'"),
        ("cpu:one", "use 'auto', 'cpu'"),
        ("cuda:-1", "use 'auto', 'cpu'"),
        ("cuda:", "use 'auto', 'cpu'"),
        ("auto:1", "use 'auto', 'cpu'"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_a_way_out(
    name: str, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device '{name}'.*{way_out}"):
        checks.device(name)


def test_a_gpu_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert checks.device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device 'cuda:2' is not there.*cuda:0 to cuda:1"):
        checks.device("cuda:2")


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "cuFFT error: CUFFT_INTERNAL_ERROR",
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    ],
)
def test_every_way_of_saying_that_memory_ran_out_is_known(message: str) -> None:
    for kind in (RuntimeError, getattr(torch, "AcceleratorError", RuntimeError)):
        assert checks.is_out_of_memory(kind(message))
        assert "not enough memory" in (checks.explain(kind(message)) or "")


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "cuFFT error: CUFFT_INVALID_SIZE",
        "CUDA error: an illegal memory access was encountered",
        "operation not permitted when stream is capturing",
    ],
)
def test_other_faults_of_a_gpu_are_not_taken_for_it(message: str) -> None:
    assert not checks.is_out_of_memory(RuntimeError(message))
