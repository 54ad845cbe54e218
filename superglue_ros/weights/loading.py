"""Checkpoints in the published layout, shipped or by path, into the networks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from superglue_ros.errors import InputError
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.networks.superglue import HEADS
from superglue_ros.weights.registry import SHIPPED, label, sha256_of

Network = TypeVar("Network", bound=nn.Module)
StateDict = dict[str, Tensor]

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class LoadedNetwork(Generic[Network]):
    """A network with its weights.

    Attributes:
        network: The network, on the CPU.
        name: Name of the weights and the first digits of their SHA-256 digest.
        licence: Licence of the weights, as far as it is known.
        extractor: Name of the extractor that a matcher was made for, or what it begins with; empty
            where that is not known.
        subpixel: Whether an extractor is known to be better with sub-pixel keypoints.
    """

    network: Network
    name: str
    licence: str
    extractor: str = ""
    subpixel: bool = False


def load_superpoint(weights: str) -> LoadedNetwork[SuperPoint]:
    """Load SuperPoint.

    Args:
        weights: Name of shipped weights, or path of a .safetensors or .pth checkpoint.

    Raises:
        InputError: There is no such checkpoint, or it is not one of SuperPoint.
    """
    path = _resolve(weights, "SuperPoint")
    with torch.device("meta"):
        network = SuperPoint()
    return _loaded(network, read_checkpoint(path), path)


def load_superglue(weights: str) -> LoadedNetwork[SuperGlue]:
    """Load SuperGlue, for descriptors of the size that the checkpoint was trained with.

    Args:
        weights: Name of shipped weights, or path of a .safetensors or .pth checkpoint.

    Raises:
        InputError: There is no such checkpoint, or it is not one of SuperGlue.
    """
    path = _resolve(weights, "SuperGlue")
    state_dict = read_checkpoint(path)
    projection = state_dict.get("final_proj.bias")
    descriptor_dim = 256 if projection is None else projection.numel()
    if descriptor_dim == 0 or descriptor_dim % HEADS:
        raise InputError(
            f"{path} is not a SuperGlue checkpoint: final_proj.bias has {descriptor_dim} channels, "
            f"not a multiple of {HEADS}"
        )
    with torch.device("meta"):
        network = SuperGlue(descriptor_dim)
    return _loaded(network, _with_identity_layers(state_dict, network), path)


def _with_identity_layers(state_dict: StateDict, network: SuperGlue) -> StateDict:
    """Zeros for the last layers of the graph network where a checkpoint ends before them.

    A layer of zeros adds nothing to what goes through it, so a network of which the first layers
    alone are trained needs no more in its file. Of a layer that is there, nothing may be missing.
    """
    present = {name.split(".")[2] for name in state_dict if name.startswith("gnn.layers.")}
    if not present or not all(index.isdigit() for index in present):
        return state_dict
    end = 1 + max(int(index) for index in present)
    absent = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in network.state_dict().items()
        if name.startswith("gnn.layers.") and int(name.split(".")[2]) >= end
    }
    return absent | state_dict


def read_checkpoint(path: Path) -> StateDict:
    """Read the named tensors of a .safetensors file or a `torch.save`d state dict.

    Raises:
        InputError: The file cannot be read or holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read weights {path}: {error.strerror}") from error
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise InputError(
            f"{path} is not a checkpoint; give a .safetensors file or a torch.save'd state dict"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} does not hold a state dict (names to tensors)")
    return content


def _resolve(weights: str, network: str) -> Path:
    shipped = SHIPPED.get(weights)
    if shipped is None:
        path = Path(weights).expanduser()
        if not path.is_file():
            names = ", ".join(e.name for e in SHIPPED.values() if e.network == network)
            raise InputError(f"no weights {weights!r}: neither a file nor a shipped set ({names})")
        return path
    if shipped.network != network:
        raise InputError(f"weights {weights!r} are of {shipped.network}, not of {network}")
    shipped.verify()
    return shipped.path


def _loaded(network: Network, state_dict: StateDict, path: Path) -> LoadedNetwork[Network]:
    """A network that was made on the meta device with the tensors of a checkpoint."""
    _check_layout(network, state_dict, path)
    network.load_state_dict(state_dict, strict=True, assign=True)
    network.float()
    digest = sha256_of(path)
    shipped = {entry.sha256: entry for entry in SHIPPED.values()}.get(digest)
    if shipped is None:
        return LoadedNetwork(network, label(path, digest), licence="not known")
    extractor = SHIPPED.get(shipped.extractor)
    return LoadedNetwork(
        network,
        label(path, digest),
        shipped.licence,
        extractor=label(extractor.path, extractor.sha256) if extractor else shipped.extractor,
        subpixel=shipped.subpixel,
    )


def _check_layout(network: nn.Module, state_dict: StateDict, path: Path) -> None:
    """Raise InputError naming the first differences between a checkpoint and the network."""
    expected = network.state_dict()
    problems = [f"{name} is missing" for name in expected if name not in state_dict]
    problems += [f"{name} is unknown" for name in state_dict if name not in expected]
    problems += [
        f"{name} is {tuple(tensor.shape)} instead of {tuple(expected[name].shape)}"
        for name, tensor in state_dict.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:_NAMES_SHOWN])
        more = len(problems) - _NAMES_SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        raise InputError(f"{path} is not a {type(network).__name__} checkpoint: {shown}{rest}")
