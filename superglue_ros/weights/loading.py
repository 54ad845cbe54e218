"""Checkpoints in the published layout, shipped or by path, into the networks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

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

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
"""Where trainers put the state dict among the rest of what they save."""

_COUNTER = ".num_batches_tracked"
"""What only training reads of batch-norm, and not all save."""

_PARALLEL = "module."
"""What `torch.nn.DataParallel` puts before every name."""

_LAYOUTS = {
    "SuperGlue": "gnn.layers.0.",
    "SuperPoint": "convPa.",
    "LightGlue": "transformers.0.",
    "LightGlue (older layout)": "self_attn.0.",
    "SuperPoint in the layout of rpautrat/SuperPoint": "backbone.0.",
    "SuperPoint in the layout of transformers": "encoder.conv_blocks.0.",
    "SuperGlue in the layout of transformers": "gnn.transformer_layers.0.",
}
"""What networks are known by: the beginning of a name that they have, and no other has."""


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
    if "bin_score" in state_dict and state_dict["bin_score"].numel() == 1:
        state_dict["bin_score"] = state_dict["bin_score"].reshape(())
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

    The state dict may lie in what a trainer saved beside it, and have names of `DataParallel`.

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
    content = _unwrapped(content)
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} does not hold a state dict (names to tensors)")
    return content


def _unwrapped(content: Any) -> Any:
    """The state dict itself, under its own names."""
    if not isinstance(content, dict):
        return content
    inner = next((content[k] for k in _WRAPPINGS if isinstance(content.get(k), dict)), None)
    if inner is not None:
        return _unwrapped(inner)
    if content and all(str(name).startswith(_PARALLEL) for name in content):
        return {name.removeprefix(_PARALLEL): value for name, value in content.items()}
    return dict(content)


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
    counters = {
        name: torch.zeros((), dtype=torch.int64)
        for name in network.state_dict()
        if name.endswith(_COUNTER)
    }
    network.load_state_dict(counters | state_dict, strict=True, assign=True)
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
    problems = [
        f"{name} is missing"
        for name in expected
        if name not in state_dict and not name.endswith(_COUNTER)
    ]
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
        wanted, found = type(network).__name__, _layout_of(state_dict)
        likely = f", it looks like one of {found}" if found not in ("", wanted) else ""
        raise InputError(f"{path} is not a {wanted} checkpoint{likely}: {shown}{rest}")


def _layout_of(state_dict: StateDict) -> str:
    """The network whose names a checkpoint has; empty where that is not known."""
    for network, beginning in _LAYOUTS.items():
        if any(name.startswith(beginning) for name in state_dict):
            return network
    return ""
