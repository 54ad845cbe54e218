"""The networks in ONNX Runtime on the CPU, which computes convolutions and products fastest there.

Keypoints are selected and the matching layer is solved as by the exact engine; only what comes
before, most of the work, runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superglue_ros.inference.engines.dense import DenseSuperPoint
from superglue_ros.inference.engines.interface import (
    EngineOptions,
    EngineUnavailableError,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.pairwise import PairwiseSuperGlue
from superglue_ros.inference.onnx.cache import cached
from superglue_ros.inference.onnx.networks import superglue_scores, superpoint_maps
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_CPU = torch.device("cpu")


def superpoint_engine(
    loaded: LoadedNetwork[SuperPoint], options: EngineOptions
) -> SuperPointEngine:
    """SuperPoint in ONNX Runtime."""
    _check(options)
    return OnnxRuntimeSuperPoint(loaded)


def superglue_engine(loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> SuperGlueEngine:
    """SuperGlue in ONNX Runtime."""
    _check(options)
    return OnnxRuntimeSuperGlue(loaded)


class OnnxRuntimeSuperPoint(DenseSuperPoint):
    """SuperPoint's dense maps from ONNX Runtime."""

    def __init__(self, loaded: LoadedNetwork[SuperPoint]) -> None:
        """Export the network, or find it exported."""
        super().__init__(loaded.name, _CPU, "fp32")
        self._session = make_session(cached(loaded.network, superpoint_maps))

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `DenseSuperPoint.maps`."""
        probabilities, descriptor_maps = _run(self._session, [images.float() / 255])
        return probabilities, descriptor_maps


class OnnxRuntimeSuperGlue(PairwiseSuperGlue):
    """SuperGlue's scores from ONNX Runtime, one pair after the other."""

    def __init__(self, loaded: LoadedNetwork[SuperGlue]) -> None:
        """Export the network, or find it exported."""
        super().__init__(loaded, _CPU, "fp32")
        self._session = make_session(cached(loaded.network, superglue_scores))

    def scores(self, features0: FeatureTensors, features1: FeatureTensors) -> Tensor:
        """Run the network; see `PairwiseSuperGlue.scores`."""
        (scores,) = _run(self._session, [*feature_inputs(features0), *feature_inputs(features1)])
        return scores


def check_installed() -> None:
    """Raise EngineUnavailableError naming the packages that are missing."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise EngineUnavailableError(
            f"ONNX Runtime needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )


def _check(options: EngineOptions) -> None:
    check_installed()
    if options.device.type != "cpu" or options.precision not in ("auto", "fp32"):
        raise EngineUnavailableError(
            f"engine onnxruntime computes in fp32 on the CPU, not in {options.precision} on "
            f"{options.device}; take engine auto"
        )


def make_session(content: bytes) -> InferenceSession:
    """A session on the CPU that shares the cores with whatever else runs on them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for each other by spinning come to a crawl once one of them loses its core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: InferenceSession, inputs: Sequence[Tensor]) -> list[Tensor]:
    names = [one.name for one in session.get_inputs()]
    arrays = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    return [torch.from_numpy(result) for result in session.run(None, arrays)]


def feature_inputs(features: FeatureTensors) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keypoints (1, N, 2), scores (1, N), descriptors (1, N, D) and size (1, 2)."""
    return (
        features.keypoints[None],
        features.scores[None],
        features.descriptors[None],
        features.keypoints.new_tensor([features.image_size]),
    )
