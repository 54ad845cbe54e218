"""The stages from the files they read to the files they leave, each in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from superglue_ros.errors import InputError
from superglue_ros.lab.training.ablations import take_out
from superglue_ros.lab.training.batch_norm import NormalisedSuperPoint
from superglue_ros.lab.training.cache import MadePairs, PairMaker, RealPairs, write_cache
from superglue_ros.lab.training.cached_examples import TURNED_SHARE, CachedExamples
from superglue_ros.lab.training.config import (
    CacheConfig,
    FeaturesConfig,
    LabelConfig,
    LoopConfig,
    MatcherConfig,
    PairConfig,
    SyntheticConfig,
)
from superglue_ros.lab.training.examples import ExampleSource, FreshExamples
from superglue_ros.lab.training.export import export_weights
from superglue_ros.lab.training.frontend import Frontend, SiftFrontend, SuperPointFrontend
from superglue_ros.lab.training.labels import Labels
from superglue_ros.lab.training.loop import Loop, Stage
from superglue_ros.lab.training.pairs import make_pairs
from superglue_ros.lab.training.photographs.archives import load_photographs
from superglue_ros.lab.training.progress import TrainingProgress
from superglue_ros.lab.training.real import read_real_pairs
from superglue_ros.lab.training.shallow import keep_layers
from superglue_ros.lab.training.stages.features import (
    FeatureNetwork,
    FeaturesStage,
    initial_superpoint,
)
from superglue_ros.lab.training.stages.label import label_photographs, make_detector
from superglue_ros.lab.training.stages.matcher import MatcherStage
from superglue_ros.lab.training.stages.real_descriptors import RealDescriptors
from superglue_ros.lab.training.stages.synthetic import SyntheticStage
from superglue_ros.lab.training.warm_start import wake, warm_start
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import load_superglue, load_superpoint

MAGICPOINT, LABELS = "magicpoint.safetensors", "labels.safetensors"
SUPERPOINT, SUPERGLUE = "superpoint.safetensors", "superglue.safetensors"
SETTINGS = "settings.json"
PAIRS_PICTURE = "pairs.png"
CACHE = "cache"
HELD_OUT_KINDS = {"homography": 0.0, "scene": 1.0}
"""Kinds of held-out pairs, with their share of scenes."""

REAL = "real"
"""Name of the pairs of real photographs, whose files follow the pattern of their part."""

DESCRIPTOR_DIMS = {"superpoint": 256, "sift": 128}
TRAIN_PATTERN, HELD_OUT_PATTERN = "train-*.zip", "validation-*.zip"


@dataclass(frozen=True)
class Folders:
    """Where a training reads and writes.

    Attributes:
        photographs: Archives, as `superglue-ros photographs` makes them.
        output: What the stages leave: weights and labels, and a folder each for their checkpoints.
    """

    photographs: Path
    output: Path

    def load(self, pattern: str, device: torch.device) -> Tensor:
        """The photographs of the archives of a part, resident on the device."""
        return load_photographs(sorted(self.photographs.glob(pattern))).to(device)


def training_device(name: str) -> torch.device:
    """The device of a name; auto is a GPU where there is one.

    Training machines often have no OpenCV, which everything under `inference` comes with.

    Raises:
        InputError: PyTorch knows no such device or does not see it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used: {reason}") from error
    return device


def run_synthetic(config: SyntheticConfig, folders: Folders, initial: str) -> bool:
    """Train a detector on drawn shapes; returns whether all its steps are done."""
    stage = SyntheticStage(
        _superpoint(initial, config.seed), config, training_device(config.device)
    )

    def export(network: nn.Module) -> None:
        assert isinstance(network, NormalisedSuperPoint)
        export_weights(network.folded(), folders.output / MAGICPOINT)

    return _run(stage, config, folders.output / stage.name, export)


def run_label(config: LabelConfig, folders: Folders, teacher: str) -> bool:
    """Label the photographs, with the classical teacher or the detector of given weights."""
    device = training_device(config.device)
    photographs = folders.load(TRAIN_PATTERN, device)
    network = load_superpoint(teacher).network if teacher else None
    with TrainingProgress("label", len(photographs), 0) as progress:
        labels = label_photographs(
            photographs,
            make_detector(config, network, device),
            config,
            folders.output / "label",
            progress.update,
        )
    labels.save(folders.output / LABELS)
    return True


def run_features(config: FeaturesConfig, folders: Folders, initial: str, real: Path | None) -> bool:
    """Train detector and descriptor on the labelled photographs, and on real pairs where given."""
    device = training_device(config.device)
    photographs = folders.load(TRAIN_PATTERN, device)
    labels = Labels.load(folders.output / LABELS).to(device)
    if len(labels.points) != len(photographs):
        raise InputError(
            f"{folders.output / LABELS} labels {len(labels.points)} photographs, "
            f"but there are {len(photographs)}: run the label stage again"
        )
    stage = FeaturesStage(
        _superpoint(initial, config.seed),
        photographs,
        labels,
        folders.load(HELD_OUT_PATTERN, device),
        config,
        device,
        _real_descriptors(real, config) if real else None,
    )

    def export(network: nn.Module) -> None:
        assert isinstance(network, FeatureNetwork)
        export_weights(network.superpoint.folded(), folders.output / SUPERPOINT)

    return _run(stage, config, folders.output / stage.name, export)


def _real_descriptors(folder: Path, config: FeaturesConfig) -> RealDescriptors:
    train, held_out = (read_real_pairs(folder, held_out=part) for part in (False, True))
    return RealDescriptors(train, held_out, config)


def run_cache(config: CacheConfig, folders: Folders, superpoint: str, real: Path | None) -> bool:
    """Make the pairs that the matcher can learn from again and again."""
    device = torch.device("cpu")
    frontend = _frontend(config, superpoint, folders, device)
    folder = folders.output / f"{CACHE}-{config.extractor}"
    real_share = config.real_share if real else 0.0
    real_pairs = round(config.pairs * real_share)
    kinds = len(HELD_OUT_KINDS) + (1 if real_pairs else 0)
    held_out = config.validation_pairs // kinds

    def write(maker: PairMaker, part: str, count: int) -> None:
        with TrainingProgress(f"cache {part}", count, 0) as progress:
            write_cache(maker, config, folder, part, count, progress.update)

    photographs = folders.load(HELD_OUT_PATTERN, device)
    for part, share in HELD_OUT_KINDS.items():
        one_kind = config.updated(scene_share=share)
        write(MadePairs(photographs, frontend, one_kind), part, held_out)
    if real and real_pairs:
        write(RealPairs(read_real_pairs(real, held_out=True), frontend, config), REAL, held_out)
        train = read_real_pairs(real, held_out=False)
        write(RealPairs(train, frontend, config), f"train-{REAL}", real_pairs)
    photographs = folders.load(TRAIN_PATTERN, device)
    write(MadePairs(photographs, frontend, config), "train", config.pairs - real_pairs)
    return True


def run_matcher(config: MatcherConfig, folders: Folders, initial: str, superpoint: str) -> bool:
    """Train SuperGlue on an extractor that is not changed."""
    device = training_device(config.device)
    examples, held_out = _examples(config, superpoint, folders, device)
    network = _superglue(initial, DESCRIPTOR_DIMS[config.extractor], config)
    keep_layers(network, config.trained_layers)
    stage = MatcherStage(take_out(network, config.ablation), examples, held_out, config, device)
    name = SUPERGLUE if config.extractor == "superpoint" else f"{config.extractor}-{SUPERGLUE}"

    def export(network: nn.Module) -> None:
        if config.ablation == "none":
            export_weights(stage.calibrated(network), folders.output / name)

    suffix = "" if config.ablation == "none" else f"-{config.ablation}"
    folder = folders.output / f"{stage.name}-{config.extractor}{suffix}"
    return _run(stage, config, folder, export)


def _examples(
    config: MatcherConfig, superpoint: str, folders: Folders, device: torch.device
) -> tuple[ExampleSource, Mapping[str, ExampleSource]]:
    """What to learn from, and what to validate on."""
    if config.cached:
        folder = folders.output / f"{CACHE}-{config.extractor}"
        turned_share = TURNED_SHARE if config.extractor == "sift" else 0.0

        def cached(part: str, *, varied: bool) -> CachedExamples:
            paths = sorted(folder.glob(f"{part}-*.safetensors"))
            return CachedExamples(paths, config.batch, device, varied, turned_share)

        kinds = [*HELD_OUT_KINDS, *([REAL] if list(folder.glob(f"{REAL}-*")) else [])]
        return cached("train", varied=True), {part: cached(part, varied=False) for part in kinds}
    frontend = _frontend(config, superpoint, folders, device)
    photographs = folders.load(HELD_OUT_PATTERN, device)
    return FreshExamples(folders.load(TRAIN_PATTERN, device), frontend, config), {
        part: FreshExamples(photographs, frontend, config.updated(scene_share=share))
        for part, share in HELD_OUT_KINDS.items()
    }


def _frontend(
    config: MatcherConfig | CacheConfig, superpoint: str, folders: Folders, device: torch.device
) -> Frontend:
    if config.extractor == "sift":
        return SiftFrontend(config.max_keypoints)
    trained = folders.output / SUPERPOINT
    weights = superpoint or (str(trained) if trained.exists() else "superpoint")
    network = load_superpoint(weights).network
    return SuperPointFrontend(network, device, config.precision, config.random_share)


def _superpoint(initial: str, seed: int) -> SuperPoint:
    return load_superpoint(initial).network if initial else initial_superpoint(seed)


def _superglue(initial: str, descriptor_dim: int, config: MatcherConfig) -> SuperGlue:
    torch.manual_seed(config.seed)
    if initial:
        return wake(load_superglue(initial).network, config.extractor)
    return warm_start(SuperGlue(descriptor_dim), config.extractor)


def _run(
    stage: Stage, config: LoopConfig, folder: Path, export: Callable[[nn.Module], None]
) -> bool:
    """Run a stage's loop and leave its weights, finished or not."""
    loop = Loop(stage, config, folder)
    settings = {known.name: getattr(config, known.name) for known in config.describe()}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1))
    finished = loop.run()
    export(loop.averaged)
    return finished


def draw_pairs(config: PairConfig, folders: Folders) -> Path:
    """Draw a batch of pairs with their truth into the output folder; returns the picture."""
    from superglue_ros.lab.training.overlay import write_overlays  # with OpenCV, which draws

    photographs = folders.load(TRAIN_PATTERN, torch.device("cpu"))
    picture = folders.output / PAIRS_PICTURE
    write_overlays(make_pairs(photographs, config, Generator().manual_seed(0)), picture)
    return picture


def plot_logs(output: Path) -> Sequence[Path]:
    """Draw the log of every stage under a folder.

    Raises:
        InputError: There is no log.
    """
    from superglue_ros.lab.training.history import read_history  # with OpenCV, which draws
    from superglue_ros.lab.training.plot import plot_log

    logs = sorted(output.glob("*/log.jsonl"))
    if not logs:
        raise InputError(f"no log of a training under {output}")
    pictures = [log.with_suffix(".png") for log in logs]
    for log, picture in zip(logs, pictures, strict=True):
        plot_log(read_history(log), picture)
    return pictures
