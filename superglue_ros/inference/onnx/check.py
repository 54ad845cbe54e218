"""That an exported network gives in ONNX Runtime what it gives here, at several sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.errors import InputError
from superglue_ros.inference.engines.exact import TorchSuperGlue, TorchSuperPoint
from superglue_ros.inference.engines.interface import EngineOptions, PreparedImage
from superglue_ros.inference.engines.onnxruntime_engine import feature_inputs, make_session
from superglue_ros.inference.engines.samples import sample_image, sample_pair
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

SHAPES = ((240, 320), (480, 640))
COUNTS = ((300, 300), (200, 257), (1, 64))

_EXACT = EngineOptions(torch.device("cpu"), "fp32")
_DESCRIPTOR_TOLERANCE, _PROBABILITY_TOLERANCE = 1e-4, 1e-3


def check_superpoint(
    content: bytes, loaded: LoadedNetwork[SuperPoint], config: DetectionConfig
) -> None:
    """Compare at `SHAPES`.

    Raises:
        InputError: A result differs.
    """
    session, exact = make_session(content), TorchSuperPoint(loaded, _EXACT)
    for shape in SHAPES:
        image = sample_image(*shape)
        prepared = PreparedImage(image, None, image.shape[::-1])
        expected = exact.detect([prepared], config)[0]
        batch = (torch.from_numpy(image)[None, None].float() / 255).numpy()
        keypoints, scores, descriptors, counts = session.run(None, {"image": batch})
        count = int(counts[0])
        where = f"{shape[1]}x{shape[0]}"
        _same(f"keypoints at {where}", keypoints[0, :count], expected.keypoints.numpy(), 0)
        _same(f"scores at {where}", scores[0, :count], expected.scores.numpy(), 1e-5)
        _same(
            f"descriptors at {where}",
            descriptors[0, :count],
            expected.descriptors.numpy(),
            _DESCRIPTOR_TOLERANCE,
        )


def check_superglue(
    content: bytes, loaded: LoadedNetwork[SuperGlue], config: AssignmentConfig
) -> None:
    """Compare at `COUNTS`.

    Raises:
        InputError: A result differs.
    """
    session, exact = make_session(content), TorchSuperGlue(loaded, _EXACT)
    names = [one.name for one in session.get_inputs()]
    for count0, count1 in COUNTS:
        both = sample_pair(max(count0, count1), loaded.network.descriptor_dim, _EXACT.device)
        pair = (both[0].best(count0), both[1].best(count1))
        expected = exact.begin_match([pair], config, with_assignment=False)()[0]
        inputs = [tensor.numpy() for one in pair for tensor in feature_inputs(one)]
        found = session.run(None, dict(zip(names, inputs, strict=True)))
        where = f"{count0} and {count1} keypoints"
        scores = (expected.matching_scores0, expected.matching_scores1)
        for index, matches in enumerate((expected.matches0, expected.matches1)):
            clear = np.abs(scores[index] - config.match_threshold) > _PROBABILITY_TOLERANCE
            _same(f"matches{index} at {where}", found[index][0][clear], matches[clear], 0)
            _same(f"scores at {where}", found[2 + index][0], scores[index], _PROBABILITY_TOLERANCE)


def describe(content: bytes) -> list[str]:
    """A line for each input and output with type and shape, in which names stand for any size."""
    session = make_session(content)
    return [
        f"{kind} {one.name} {one.type.removeprefix('tensor')} {_shape(one.shape)}"
        for kind, some in (("in ", session.get_inputs()), ("out", session.get_outputs()))
        for one in some
    ]


def _shape(shape: Sequence[int | str]) -> str:
    return f"({', '.join(str(size) for size in shape)})"


def _same(
    what: str, found: NDArray[np.generic], expected: NDArray[np.generic], tolerance: float
) -> None:
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=tolerance):
        raise InputError(
            f"the exported network is not the same: {what} differ; do PyTorch "
            f"{torch.__version__} and ONNX Runtime fit each other?"
        )
