"""SuperGlue on the features of two images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from superglue_ros.config import SuperGlueConfig, Value
from superglue_ros.features import Features, Matches
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.engines import SuperGlueEngine, select_superglue
from superglue_ros.inference.folding import fold_batch_norms
from superglue_ros.inference.interface import (
    check_descriptors,
    check_extractors,
    no_matches,
)
from superglue_ros.inference.tensors import FeatureTensors
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
        fold_batch_norms(loaded.network.eval())
        self.engine, self._engine = select_superglue(loaded, self.config, self.device)

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    @property
    def running_engine(self) -> SuperGlueEngine:
        """What runs the network."""
        return self._engine

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
        self.match_tensors(features, features)

    def match(
        self, features0: Features, features1: Features, *, with_assignment: bool = False
    ) -> Matches:
        """Match the features of two images; see `Matcher.match`."""
        tensors0, tensors1 = (
            FeatureTensors.from_features(features, self.device)
            for features in (features0, features1)
        )
        return self.match_tensors(tensors0, tensors1, with_assignment=with_assignment)

    def match_tensors(
        self,
        features0: FeatureTensors,
        features1: FeatureTensors,
        *,
        with_assignment: bool = False,
    ) -> Matches:
        """Match features that are on the matcher's device; else as `Matcher.match`.

        Raises:
            InputError: The descriptors do not fit each other or the matcher.
            DeviceError: The device failed, for want of memory say.
        """
        (matches,) = self.match_batch([(features0, features1)], with_assignment=with_assignment)
        return matches

    def match_batch(
        self,
        pairs: Sequence[tuple[FeatureTensors, FeatureTensors]],
        *,
        with_assignment: bool = False,
    ) -> list[Matches]:
        """Match several pairs of images at once, where the engine can; each as `match_tensors`.

        Args:
            pairs: Features on the matcher's device; counts may differ within and between pairs.
            with_assignment: Whether to fill in `Matches.assignment` too.

        Returns:
            The matches of each pair in order.
        """
        for features in pairs:
            check_extractors(*features, self.made_for)
            for one in features:
                check_descriptors(one, self.descriptor_dim)
        full = [pair for pair in pairs if len(pair[0]) and len(pair[1])]
        found: list[Matches] = []
        if full:
            with device_errors(self.device):
                found = self._engine.match(full, self.config, with_assignment=with_assignment)
        matches = iter(found)
        return [
            next(matches)
            if len(pair[0]) and len(pair[1])
            else no_matches(*pair, self.name, with_assignment=with_assignment)
            for pair in pairs
        ]
