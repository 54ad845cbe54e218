"""The device that a setting names."""

from __future__ import annotations

import pytest
import torch

from superglue_ros.errors import DeviceError, InputError
from superglue_ros.inference.device import device_errors, select_device


def see_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_cpu_is_always_there() -> None:
    assert select_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("count", "expected"), [(0, "cpu"), (1, "cuda"), (3, "cuda")])
def test_auto_is_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, count: int, expected: str
) -> None:
    see_gpus(monkeypatch, count)
    assert select_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    see_gpus(monkeypatch, 2)
    assert select_device(name) == torch.device(name)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused_with_their_number(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    see_gpus(monkeypatch, count)
    with pytest.raises(InputError, match=f"'{name}' asked for, but PyTorch sees {count} GPUs"):
        select_device(name)


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:one", "cuda:1.0", "cpu:", "cpu:1", "mps"]
)
def test_other_names_are_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    see_gpus(monkeypatch, 2)
    with pytest.raises(InputError, match="device must be auto, cpu, cuda or cuda:N"):
        select_device(name)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore lines."),
        RuntimeError("CUDA error: an illegal memory access was encountered\nMore lines."),
    ],
)
def test_a_failure_of_the_device_is_told_from_other_errors_in_one_line(error: Exception) -> None:
    with (
        pytest.raises(DeviceError, match=r"^cpu: CUDA [^\n]*$"),
        device_errors(torch.device("cpu")),
    ):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("CUDA error")])
def test_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, device_errors(torch.device("cpu")):
        raise error
    assert caught.value is error
