"""Figures of a feature extractor on fixed pairs of held-out views."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from superglue_ros.lab.training.config import PhotometricConfig, ViewConfig
from superglue_ros.lab.training.losses import sample_descriptor_maps
from superglue_ros.lab.training.synthesis.homographies import inside, transform_points
from superglue_ros.lab.training.views import make_views
from superglue_ros.networks import (
    detector_probabilities,
    non_maximum_suppression,
    select_keypoints,
)

SEED = 20
SIZE = (320, 240)
KEYPOINTS = 300
PAIRS = 32
CHUNK = 8
NMS_RADIUS = 4
THRESHOLD = 0.005
NEAR_PX, FAR_PX = 1.0, 3.0
BORDER = 4.0
VIEWS = ViewConfig(scale=1.4, rotation_deg=30.0, perspective=0.15, upside_share=0.0)
LIGHT = PhotometricConfig(strength=0.7)


class FeatureValidation:
    """Measures on the same pairs every time.

    Args:
        photographs: (M, H, W) uint8, held out.
    """

    def __init__(self, photographs: Tensor) -> None:
        """Make the pairs."""
        generator = Generator(photographs.device).manual_seed(SEED)
        chosen = photographs[:PAIRS]
        self._batch = make_views(chosen, SIZE, VIEWS, LIGHT, generator, centre_spread=0.05)
        self._homography = self._batch.homography()

    @torch.no_grad()
    def measure(self, network: nn.Module) -> dict[str, float]:
        """Repeatability at 1 and 3 px, localisation error, matching precision and recall at 3 px.

        Args:
            network: Images (B, 1, H, W) to detector logits and descriptor maps, in evaluation mode.
        """
        images = self._batch.images.transpose(0, 1).flatten(0, 1)  # views of a pair side by side
        heads = [network(chunk) for chunk in torch.split(images, CHUNK)]
        logits = torch.cat([head[0].float() for head in heads])
        maps = torch.cat([head[1].float() for head in heads])
        suppressed = non_maximum_suppression(detector_probabilities(logits), NMS_RADIUS)
        keypoints = [select_keypoints(scores, THRESHOLD, KEYPOINTS)[0] for scores in suppressed]
        totals = torch.zeros(8, dtype=torch.float64)
        for index, homography in enumerate(self._homography):
            first = 2 * index
            totals += _pair_counts(
                keypoints[first], keypoints[first + 1], maps[first : first + 2], homography
            )
        near, far, seen, error, right, matched, possible, found = totals.tolist()
        return {
            "keypoints": found / len(images),
            "repeatability 1px": near / max(seen, 1),
            "repeatability 3px": far / max(seen, 1),
            "localisation error": error / max(far, 1),
            "precision": right / max(matched, 1),
            "recall": right / max(possible, 1),
        }


def _pair_counts(
    keypoints0: Tensor, keypoints1: Tensor, maps: Tensor, homography: Tensor
) -> Tensor:
    """Counts of one pair, in the order in which `measure` takes them apart."""
    forward = transform_points(homography[None], keypoints0[None])[0]
    backward = transform_points(torch.linalg.inv(homography)[None], keypoints1[None])[0]
    inside0, inside1 = inside(forward, SIZE, BORDER), inside(backward, SIZE, BORDER)
    found = len(keypoints0) + len(keypoints1)
    if not inside0.any() or not inside1.any():
        return torch.tensor([0.0, 0, 0, 0, 0, 0, 0, found], dtype=torch.float64)
    distance = torch.cdist(forward[inside0], keypoints1[inside1])
    nearest = torch.cat([distance.amin(dim=1), distance.amin(dim=0)])
    repeated = nearest < FAR_PX
    descriptors0 = sample_descriptor_maps(keypoints0[None], maps[:1])[0]
    descriptors1 = sample_descriptor_maps(keypoints1[None], maps[1:])[0]
    similarity = descriptors0 @ descriptors1.mT
    forth, back = similarity.argmax(dim=1), similarity.argmax(dim=0)
    mutual = back[forth] == torch.arange(len(forth), device=forth.device)
    error = (forward - keypoints1[forth]).norm(dim=1)
    right = mutual & (error < FAR_PX)
    counts = [
        (nearest < NEAR_PX).sum(),
        repeated.sum(),
        torch.tensor(len(nearest)),
        nearest[repeated].sum(),
        right.sum(),
        (mutual & inside0).sum(),
        (distance.amin(dim=1) < FAR_PX).sum(),
        torch.tensor(found),
    ]
    return torch.stack([count.double().cpu() for count in counts])
