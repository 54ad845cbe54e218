"""SuperGlue on the features of two images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from superglue_ros.config import SuperGlueConfig, Value
from superglue_ros.features import Features, Matches
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.engines import PendingMatches, select_superglue
from superglue_ros.inference.folding import simplify
from superglue_ros.inference.interface import check_descriptors, check_extractors
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.weights.loading import load_superglue

WARM_UP_KEYPOINTS = 64


class SuperGlueMatcher:
    """Features of two images in, matches out.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the weights do not load.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the weights and
            for where and how they run.
        descriptor_dim: Channels of the descriptors that it was trained with.
        made_for: Name of the extractor that it was trained for; empty where that is not known.
        device: The torch device that the network is on.
        engine: Name of what runs the network: `config.engine`, or the choice made for `auto`.
        precision: What it computes with: fp32, fp16 or bf16.
        licence: Licence of the weights.
    """

    def __init__(self, config: SuperGlueConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or SuperGlueConfig()).updated(**settings)
        self.device = select_device(self.config.device)
        loaded = load_superglue(self.config.weights)
        self._name = loaded.name
        self.licence = loaded.licence
        self.made_for = loaded.extractor
        self.descriptor_dim = loaded.network.descriptor_dim
        simplify(loaded.network.eval())
        self.engine, self._engine = select_superglue(loaded, self.config, self.device)
        self.precision = self._engine.precision

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    def warm_up(self) -> None:
        """Run once on random features, so that the first pair does not wait for what loads late."""
        count = WARM_UP_KEYPOINTS
        features = FeatureTensors(
            keypoints=torch.rand(count, 2, device=self.device),
            scores=torch.rand(count, device=self.device),
            descriptors=torch.rand(count, self.descriptor_dim, device=self.device),
            image_size=(1, 1),
            extractor=self.made_for,
        )
        self.match_batch([(features, features)])

    def match(
        self, features0: Features, features1: Features, *, with_assignment: bool = False
    ) -> Matches:
        """Match the features of two images; see `Matcher.match`."""
        pair = (
            FeatureTensors.from_features(features0, self.device),
            FeatureTensors.from_features(features1, self.device),
        )
        return self.match_batch([pair], with_assignment=with_assignment)[0]

    def match_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> list[Matches]:
        """Match several pairs of images; see `begin_batch`."""
        return self.begin_batch(pairs, with_assignment=with_assignment)()

    def begin_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> PendingMatches:
        """Begin to match several pairs of images, each as `match` does; see `Matcher.begin_batch`.

        Args:
            pairs: Features, which may still be being computed; counts may differ.
            with_assignment: Whether to fill in `Matches.assignment` too.

        Raises:
            InputError: The descriptors do not fit each other or the matcher.
            DeviceError: The device failed, for want of memory say.
        """
        for pair in pairs:
            check_extractors(*pair, self.made_for)
            for one in pair:
                check_descriptors(one.places.descriptors.shape, one.extractor, self.descriptor_dim)
        with device_errors(self.device):
            return self._engine.begin_match(
                [(one.to(self.device), other.to(self.device)) for one, other in pairs],
                self.config,
                with_assignment=with_assignment,
            )
