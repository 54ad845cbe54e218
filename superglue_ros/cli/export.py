"""`superglue-ros export`: the networks as files for other engines."""

from __future__ import annotations

import argparse
from pathlib import Path

from superglue_ros.cli.flags import Flags, add_flags
from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.errors import InputError

_DETECTION, _ASSIGNMENT = Flags(DetectionConfig), Flags(AssignmentConfig)
_USED = ("max_keypoints", "keypoint_threshold", "nms_radius")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "export",
        description="Write superpoint.onnx, with non-maximum suppression and the selection of the "
        "best keypoints in it, and superglue.onnx, for any counts of keypoints, with the matching "
        "layer in it. Both are compared with the networks here before they are written.",
    )
    parser.add_argument(
        "--onnx", type=Path, required=True, metavar="FOLDER", help="folder to write them to"
    )
    for network in ("superpoint", "superglue"):
        parser.add_argument(
            f"--{network}-weights",
            default=network,
            metavar="WEIGHTS",
            help=f"shipped weights or path of a checkpoint (default {network})",
        )
    fixed = parser.add_argument_group("settings that become part of the files")
    add_flags(fixed, {"superpoint": _DETECTION.only(_USED), "superglue": _ASSIGNMENT})
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Export both networks.

    Raises:
        InputError: A value or checkpoint cannot be used, a package is missing, a file cannot be
            written, or the exported network gives other results.
    """
    detection = _DETECTION.only(_USED).read(arguments).updated(subpixel="off")
    assignment = _ASSIGNMENT.read(arguments)

    from superglue_ros.inference.engines.onnxruntime_engine import check_installed
    from superglue_ros.inference.folding import simplify
    from superglue_ros.inference.onnx import check, complete
    from superglue_ros.weights.loading import load_superglue, load_superpoint

    check_installed()
    superpoint = load_superpoint(arguments.superpoint_weights)
    content = complete.superpoint_keypoints(superpoint.network, detection)
    check.check_superpoint(content, superpoint, detection)
    _write(arguments.onnx / "superpoint.onnx", content, superpoint.name)
    superglue = load_superglue(arguments.superglue_weights)
    simplify(superglue.network.eval())
    content = complete.superglue_matches(superglue.network, assignment)
    check.check_superglue(content, superglue, assignment)
    _write(arguments.onnx / "superglue.onnx", content, superglue.name)


def _write(path: Path, content: bytes, weights: str) -> None:
    from superglue_ros.inference.onnx.check import describe
    from superglue_ros.inference.onnx.export import OPSET

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}: {weights}, ONNX opset {OPSET}, {len(content) / 1e6:.1f} MB, checked")
    for line in describe(content):
        print(f"  {line}")
