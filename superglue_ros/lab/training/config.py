"""The settings of the training stages; light to import, since the command's help needs them."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config import DeviceConfig, Settings, setting


@dataclass(frozen=True)
class ViewConfig(Settings):
    """How far a view may differ from looking straight at a photograph."""

    scale: float = setting(
        1.6, "Largest factor by which a view shrinks or enlarges.", minimum=1.0, maximum=4.0
    )
    rotation_deg: float = setting(
        30.0, "Largest in-plane rotation in degrees.", minimum=0.0, maximum=180.0
    )
    perspective: float = setting(
        0.25,
        "Largest shift of a view's corner as a share of the view's side.",
        minimum=0.0,
        maximum=0.45,
    )
    upside_share: float = setting(
        0.05, "Share of views with any in-plane rotation.", minimum=0.0, maximum=1.0
    )


@dataclass(frozen=True)
class PhotometricConfig(Settings):
    """How strongly and how often images are changed."""

    strength: float = setting(
        1.0, "Strength of all changes; 0 leaves the images alone.", minimum=0.0, maximum=2.0
    )
    share: float = setting(
        0.4, "Share of images that each kind of change is applied to.", minimum=0.0, maximum=1.0
    )


@dataclass(frozen=True)
class LoopConfig(Settings):
    """How long and how fast a stage learns."""

    steps: int = setting(1000, "Steps in all.", minimum=1, maximum=10_000_000)
    fill_minutes: float = setting(
        0.0,
        "Instead of `steps`: as many as this time holds, measured once on the first ones.",
        minimum=0.0,
    )
    minutes: float = setting(
        0.0, "Stop after this time, to go on with the same command; 0 never does.", minimum=0.0
    )
    learning_rate: float = setting(1e-3, "Peak learning rate.", minimum=0.0, maximum=1.0)
    warmup_steps: int = setting(100, "Steps of linear warm-up.", minimum=0)
    constant_share: float = setting(
        0.0, "Share of the steps before the cosine decay begins.", minimum=0.0, maximum=1.0
    )
    weight_decay: float = setting(1e-4, "Decay of the weights (AdamW).", minimum=0.0)
    max_gradient_norm: float = setting(1.0, "Larger gradients are scaled to this.", minimum=1e-6)
    average_decay: float = setting(
        0.999, "Decay of the moving average of the weights.", minimum=0.0, maximum=0.99999
    )
    checkpoint_every_sec: float = setting(60.0, "Seconds between two checkpoints.", minimum=0.0)
    log_every: int = setting(20, "Steps that one line of the log averages.", minimum=1)
    validate_every: int = setting(500, "Steps between two validations.", minimum=1)
    seed: int = setting(0, "Seed of everything random.", minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True)
class FeaturesConfig(LoopConfig, DeviceConfig):
    """The stage that trains detector and descriptor together."""

    batch: int = setting(32, "Pairs a step.", minimum=1)
    view_width: int = setting(320, "Width of a view in pixels, a multiple of 8.", minimum=16)
    view_height: int = setting(240, "Height of a view in pixels, a multiple of 8.", minimum=16)
    precision: str = setting(
        "auto",
        "Arithmetic of the network: auto is bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )
    detector_weight: float = setting(1.0, "Weight of the detector's loss.", minimum=0.0)
    descriptor_weight: float = setting(1.0, "Weight of the descriptor's loss.", minimum=0.0)
    auxiliary_weight: float = setting(
        0.3,
        "Weight of each detector loss on the encoder's finer features, which makes the places of "
        "keypoints survive the pooling; its heads are dropped afterwards.",
        minimum=0.0,
    )
    descriptor_points: int = setting(
        600, "Most points of a pair whose descriptors are told apart.", minimum=8
    )
    temperature: float = setting(
        20.0, "Factor on the cosine similarity at the start; it is learned.", minimum=1.0
    )
    strength: float = setting(1.0, "Strength of photometric change.", minimum=0.0, maximum=2.0)
    scale: float = setting(1.6, "Largest change of scale of a view.", minimum=1.0, maximum=4.0)
    real_share: float = setting(
        0.5,
        "Share of the pairs that show real photographs, where the option real names some; the "
        "descriptor alone learns from them.",
        minimum=0.0,
        maximum=0.9,
    )
    frozen_stages: int = setting(
        0,
        "First stages of the encoder that stay as they are, which saves time.",
        minimum=0,
        maximum=4,
    )


@dataclass(frozen=True)
class PairConfig(Settings):
    """The pairs that the matcher learns from."""

    batch: int = setting(32, "Pairs a step.", minimum=1)
    view_width: int = setting(512, "Width of a view in pixels, a multiple of 8.", minimum=16)
    view_height: int = setting(384, "Height of a view in pixels, a multiple of 8.", minimum=16)
    scene_share: float = setting(
        0.5, "Share of pairs with depth, the rest are homographies.", minimum=0.0, maximum=1.0
    )
    cards: int = setting(7, "Cards in front of the walls of a scene.", minimum=0, maximum=50)
    strength: float = setting(1.0, "Strength of photometric change.", minimum=0.0, maximum=2.0)
    scale: float = setting(
        1.6, "Largest change of scale of one view of a photograph.", minimum=1.0, maximum=4.0
    )
    perspective: float = setting(
        0.25,
        "Largest shift of a view's corner as a share of the view's side.",
        minimum=0.0,
        maximum=0.45,
    )


@dataclass(frozen=True)
class CacheConfig(PairConfig):
    """Pairs made once, for training where making them takes longer than learning from them."""

    batch: int = setting(4, "Pairs made at once, a divisor of 64.", minimum=1, maximum=64)
    view_width: int = setting(480, "Width of a view in pixels, a multiple of 8.", minimum=16)
    view_height: int = setting(360, "Height of a view in pixels, a multiple of 8.", minimum=16)
    pairs: int = setting(4096, "Pairs to learn from.", minimum=1)
    validation_pairs: int = setting(256, "Pairs held out.", minimum=1)
    real_share: float = setting(
        0.5,
        "Share of the pairs that show real photographs, where the option real names some.",
        minimum=0.0,
        maximum=1.0,
    )
    max_keypoints: int = setting(
        768, "Most keypoints of an image to keep.", minimum=1, maximum=4096
    )
    extractor: str = setting("sift", "Whose keypoints.", choices=("superpoint", "sift"))
    random_share: float = setting(
        0.1,
        "Share of SuperPoint's keypoints put at random places.",
        minimum=0.0,
        maximum=1.0,
    )
    precision: str = setting(
        "auto",
        "Arithmetic of SuperPoint: auto is bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )
    seed: int = setting(0, "Seed of everything random.", minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True)
class MatcherConfig(PairConfig, LoopConfig, DeviceConfig):
    """The stage that trains SuperGlue."""

    learning_rate: float = setting(1e-4, "Peak learning rate.", minimum=0.0, maximum=1.0)
    min_keypoints: int = setting(256, "Fewest keypoints of an image.", minimum=1, maximum=4096)
    max_keypoints: int = setting(512, "Most keypoints of an image.", minimum=1, maximum=4096)
    random_share: float = setting(
        0.1, "Share of keypoints put at random places.", minimum=0.0, maximum=1.0
    )
    sinkhorn_iterations: int = setting(
        30, "Iterations of the optimal transport while training.", minimum=1, maximum=1000
    )
    validation_batches: int = setting(4, "Batches of a validation, of each kind.", minimum=1)
    extractor: str = setting(
        "superpoint", "Whose keypoints to match.", choices=("superpoint", "sift")
    )
    cached: bool = setting(
        False, "Learn from the pairs that the stage cache left in the output folder."
    )
    trained_layers: int = setting(
        18,
        "Layers of the graph network to train; the others do nothing, which costs nothing.",
        minimum=0,
        maximum=18,
    )
    ablation: str = setting(
        "none",
        "Part of the network to take out, to measure what it is worth; the weights are of no use.",
        choices=("none", "no_graph", "no_cross", "no_position"),
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the network: auto is bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )


@dataclass(frozen=True)
class SyntheticConfig(LoopConfig, DeviceConfig):
    """The stage that trains a first detector on drawn shapes."""

    batch: int = setting(32, "Pictures a step.", minimum=1)
    view_width: int = setting(160, "Width of a picture in pixels, a multiple of 8.", minimum=16)
    view_height: int = setting(120, "Height of a picture in pixels, a multiple of 8.", minimum=16)
    shapes: int = setting(4, "Shapes on a picture.", minimum=1, maximum=50)
    strength: float = setting(0.7, "Strength of photometric change.", minimum=0.0, maximum=2.0)
    validation_keypoints: int = setting(
        300, "Most keypoints of a picture in the validation.", minimum=1
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the network: auto is bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )


@dataclass(frozen=True)
class LabelConfig(DeviceConfig):
    """The stage that labels the photographs."""

    batch: int = setting(8, "Photographs at once.", minimum=1)
    homographies: int = setting(
        0,
        "Views beside the photograph itself that responses are averaged over; a network as the "
        "teacher wants about 100, the classical one gains nothing.",
        minimum=0,
        maximum=1000,
    )
    sigma: float = setting(1.8, "Scale in pixels of the classical teacher.", minimum=0.5)
    threshold: float = setting(
        0.008, "Least response of a keypoint; about 0.015 with a network.", minimum=0.0
    )
    max_labels: int = setting(700, "Most keypoints of a photograph.", minimum=1)
    nms_radius: int = setting(4, "Least distance in pixels of two keypoints.", minimum=1)
    precision: str = setting(
        "auto",
        "Arithmetic of the network: auto is bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )
    seed: int = setting(0, "Seed of everything random.", minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True)
class AcceleratedConfig(DeviceConfig):
    """The whole training on a GPU that is lent for minutes."""

    minutes: float = setting(9.0, "Stop this call after so many minutes.", minimum=0.0)
    features_minutes: float = setting(
        8.0, "Minutes of the stage features in all; 0 leaves it out.", minimum=0.0
    )
    matcher_minutes: float = setting(
        16.0, "Minutes of the stage matcher in all; 0 leaves it out.", minimum=0.0
    )
    features_batch: int = setting(48, "Pairs a step of the stage features.", minimum=1)
    matcher_batch: int = setting(32, "Pairs a step of the stage matcher.", minimum=1)
    view_width: int = setting(
        320, "Width of a view of the stage features in pixels, a multiple of 8.", minimum=16
    )
    view_height: int = setting(240, "Its height, a multiple of 8.", minimum=16)
    pair_width: int = setting(
        512, "Width of a view of the stage matcher in pixels, a multiple of 8.", minimum=16
    )
    pair_height: int = setting(384, "Its height, a multiple of 8.", minimum=16)
    max_keypoints: int = setting(512, "Most keypoints of an image.", minimum=1, maximum=4096)
    initial_superpoint: str = setting(
        "", "Weights that the features begin with: a shipped set or a file; empty for none."
    )
    initial_superglue: str = setting(
        "", "Weights that the matcher begins with; empty begins with matching by descriptors alone."
    )
    validate_every: int = setting(1000, "Steps between two validations.", minimum=1)
