"""The whole training on a GPU that is lent for minutes, from photograph archives to weights."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from superglue_ros.lab.training.config import (
    AcceleratedConfig,
    FeaturesConfig,
    LabelConfig,
    MatcherConfig,
)
from superglue_ros.lab.training.export import split_file
from superglue_ros.lab.training.loop import LOG
from superglue_ros.lab.training.run import (
    LABELS,
    SUPERGLUE,
    SUPERPOINT,
    Folders,
    run_features,
    run_label,
    run_matcher,
)

_LEAST_MINUTES = 0.05
LABEL_BATCH = 16


def run_all(config: AcceleratedConfig, folders: Folders, pieces: Path | None) -> bool:
    """Label, train the features, then the matcher, as far as the time of this call goes.

    Args:
        config: Times and sizes, the same in every call but for `minutes`.
        folders: Photographs and output, the same in every call.
        pieces: Where to leave weights in pieces, and the logs; None for nowhere.

    Returns:
        Whether everything is finished.
    """
    end = time.monotonic() + config.minutes * 60

    def minutes_left() -> float:
        return max(_LEAST_MINUTES, (end - time.monotonic()) / 60)

    finished = True
    if config.features_minutes > 0:
        if not (folders.output / LABELS).exists():
            run_label(LabelConfig(device=config.device, batch=LABEL_BATCH), folders, "")
        features = features_config(config).updated(minutes=minutes_left())
        finished = run_features(features, folders, config.initial_superpoint, None)
    if finished and config.matcher_minutes > 0:
        matcher = matcher_config(config).updated(minutes=minutes_left())
        finished = run_matcher(matcher, folders, config.initial_superglue, "")
    if pieces is not None:
        leave_pieces(folders.output, pieces)
    return finished


def features_config(config: AcceleratedConfig) -> FeaturesConfig:
    """The stage `features` of an accelerated training."""
    return FeaturesConfig(
        device=config.device,
        fill_minutes=config.features_minutes,
        batch=config.features_batch,
        view_width=config.view_width,
        view_height=config.view_height,
        detector_weight=3.0,
        warmup_steps=200,
        validate_every=config.validate_every,
    )


def matcher_config(config: AcceleratedConfig) -> MatcherConfig:
    """The stage `matcher` of an accelerated training."""
    return MatcherConfig(
        device=config.device,
        fill_minutes=config.matcher_minutes,
        batch=config.matcher_batch,
        view_width=config.pair_width,
        view_height=config.pair_height,
        min_keypoints=config.max_keypoints // 2,
        max_keypoints=config.max_keypoints,
        constant_share=0.4,
        warmup_steps=500,
        validate_every=config.validate_every,
    )


def leave_pieces(output: Path, pieces: Path) -> None:
    """Put the weights, cut small, and the logs into a folder that is carried away."""
    pieces.mkdir(parents=True, exist_ok=True)
    for name in (SUPERPOINT, SUPERGLUE):
        if (output / name).exists():
            split_file(output / name, pieces)
    for log in sorted(output.glob(f"*/{LOG}")):
        shutil.copy(log, pieces / f"{log.parent.name}-{log.name}")
