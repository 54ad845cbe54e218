"""`superglue-ros match`: two image files in, a picture and an .npz file of their matches out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from superglue_ros.cli.flags import Flags, add_flags, flag_of
from superglue_ros.cli.networks import add_network_flags, read_networks
from superglue_ros.config import DrawingConfig, RotationConfig, Settings
from superglue_ros.errors import InputError
from superglue_ros.inference import registry

if TYPE_CHECKING:  # what imports PyTorch takes seconds: help and mistyped flags come before it
    import numpy as np
    from numpy.typing import NDArray

    from superglue_ros.features import Features, Matches
    from superglue_ros.inference import Extractor, Matcher

Result = TypeVar("Result")

ROTATION = Flags(RotationConfig)
PICTURE = Flags(DrawingConfig)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "match",
        description="Find the same points in two images. Prints the counts, the mean confidence, "
        "the times and the files written. An image without keypoints gives an empty result.",
    )
    parser.add_argument("image0", type=Path, metavar="IMAGE0", help="first image file")
    parser.add_argument("image1", type=Path, metavar="IMAGE1", help="second image file")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT.png",
        help="picture of the matches to write; without this, --npz and --rerun it is "
        "IMAGE0_IMAGE1_matches.png in the current folder",
    )
    parser.add_argument(
        "--npz",
        type=Path,
        metavar="OUT.npz",
        help="NumPy file to write: keypoints0 (N, 2) and keypoints1 (M, 2) in pixels of the "
        "images as given, scores0, scores1, matches (N,) with -1 for none, match_confidence (N,)",
    )
    parser.add_argument(
        "--rerun",
        type=Path,
        metavar="OUT.rrd",
        help="recording for the Rerun viewer to write (needs rerun-sdk): the images, with "
        "keypoints and matches that can be picked",
    )
    add_flags(parser, {"": ROTATION})
    add_network_flags(parser)
    add_flags(parser.add_argument_group("settings of the picture"), {"": PICTURE})
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Match the two images of a command line.

    Raises:
        InputError: An image, a checkpoint or a value cannot be used, or a file not be written.
    """
    configs = read_networks(arguments)
    paths = (arguments.image0, arguments.image1)
    picture = arguments.output
    if picture is None and arguments.npz is None and arguments.rerun is None:
        picture = Path(f"{paths[0].stem}_{paths[1].stem}_matches.png")

    drawing = _read_drawing(arguments, draws=bool(picture or arguments.rerun))

    from superglue_ros.drawing import draw_matches
    from superglue_ros.images import read_image, write_image
    from superglue_ros.inference.rotation import turn_where_few
    from superglue_ros.npz import write_npz
    from superglue_ros.rerun_log import RerunLog, import_rerun

    if arguments.rerun is not None:
        import_rerun()  # to say what is missing before there is work
    images = (read_image(paths[0]), read_image(paths[1]))
    (extractor, matcher), loading = _timed(lambda: _load(*configs))
    _note_preliminary_weights(configs)
    (features0, features1), extraction = _timed(lambda: extractor.extract_batch(images))
    matches, matching = _timed(lambda: matcher.match(features0, features1))
    if ROTATION.read(arguments).any_rotation:
        unturned = features1, matches
        (features1, matches), turning = _timed(
            lambda: turn_where_few(extractor, matcher.match, images[1], features0, unturned)
        )
        matching += turning
    features = (features0, matches.refined(features1))

    _print_result(paths, features, matches)
    print(f"seconds: loading {loading:.2f}, both images {extraction:.2f}, matching {matching:.2f}")
    inliers = _inliers(features, matches) if drawing.colour == "inlier" else None
    if picture is not None:
        write_image(picture, draw_matches(*images, *features, matches, drawing, inliers=inliers))
        print(f"wrote {picture}")
    if arguments.npz is not None:
        write_npz(arguments.npz, *features, matches)
        print(f"wrote {arguments.npz}")
    if arguments.rerun is not None:
        with RerunLog(str(arguments.rerun), drawing) as log:
            log.log_pair(images, features, matches, inliers=inliers)
        print(f"wrote {arguments.rerun}")


def _read_drawing(arguments: argparse.Namespace, *, draws: bool) -> DrawingConfig:
    given = [flag_of(name) for name in PICTURE.settings() if name in arguments]
    if given and not draws:
        raise InputError(f"{given[0]} has no effect without --output or --rerun")
    return PICTURE.read(arguments)


def _inliers(features: tuple[Features, Features], matches: Matches) -> NDArray[np.bool_] | None:
    """Which matches agree with the geometry of the views; None where they are too few for one."""
    from superglue_ros.geometry import Case, estimate_two_view_geometry

    points0, points1 = matches.points(*features)
    geometry = estimate_two_view_geometry(points0, points1, features[1].image_size)
    return None if geometry.case is Case.TOO_FEW_MATCHES else geometry.inliers


def _load(extractor_config: Settings, matcher_config: Settings) -> tuple[Extractor, Matcher]:
    extractor = registry.make_extractor(extractor_config)
    matcher = registry.make_matcher(matcher_config)
    registry.check_weights(extractor, matcher)
    return extractor, matcher


def _note_preliminary_weights(configs: tuple[Settings, ...]) -> None:
    from superglue_ros.weights import SHIPPED

    names = [getattr(config, "weights", "") for config in configs]
    preliminary = [n for n in names if n in SHIPPED and SHIPPED[n].note.startswith("preliminary")]
    if preliminary:
        print(
            f"note: the weights in use are preliminary ({', '.join(preliminary)}); "
            "see superglue-ros weights list",
            file=sys.stderr,
        )


def _timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """The result of a function and the seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def _print_result(
    paths: tuple[Path, Path], both: tuple[Features, Features], matches: Matches
) -> None:
    for path, features in zip(paths, both, strict=True):
        width, height = features.image_size
        print(f"{path}: {width}x{height}, {len(features)} keypoints")
        if not len(features):
            print(f"no keypoints in {path}: is it black or without texture?", file=sys.stderr)
    mean = f", mean confidence {matches.confidences.mean():.3f}" if len(matches) else ""
    print(f"{len(matches)} matches{mean}")
