"""Stage `features`: both heads of SuperPoint on pairs of views (SuperPoint, sections 3.3 and 6)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from superglue_ros.lab.training.batch_norm import NormalisedSuperPoint
from superglue_ros.lab.training.config import FeaturesConfig, PhotometricConfig, ViewConfig
from superglue_ros.lab.training.labels import Labels
from superglue_ros.lab.training.loop import ParameterGroup, one_rate
from superglue_ros.lab.training.losses import (
    cell_targets,
    detector_loss,
    dual_softmax_loss,
    sample_descriptor_maps,
)
from superglue_ros.lab.training.precision import autocast
from superglue_ros.lab.training.stages.real_descriptors import RealDescriptors, real_loss
from superglue_ros.lab.training.synthesis.homographies import inside, transform_points
from superglue_ros.lab.training.validation import FeatureValidation
from superglue_ros.lab.training.views import ViewBatch, make_views
from superglue_ros.networks import SuperPoint
from superglue_ros.networks.superpoint import STRIDE

CALIBRATION_BATCHES = 8
NO_KEYPOINT_LOGIT = 6.0


AUXILIARY_CELLS = {2: 64, 4: 128}
"""Side of the cells that the auxiliary detectors see, and the encoder's channels there."""


class FeatureNetwork(nn.Module):
    """SuperPoint with batch-norms, and what only the losses need."""

    def __init__(self, network: SuperPoint, temperature: float, frozen_stages: int = 0) -> None:
        """Take over the convolutions of a network."""
        super().__init__()
        self.superpoint = NormalisedSuperPoint(network, frozen_stages)
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())
        self.auxiliary = nn.ModuleDict(
            {
                str(cell): _finer_detector(channels, cell)
                for cell, channels in AUXILIARY_CELLS.items()
            }
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        """Like `SuperPoint.heads`, and for each auxiliary cell size its detector logits."""
        logits, descriptors, features = self.superpoint.forward_with_features(image)
        by_cell = dict(zip((1, 2, 4, 8), features, strict=True))
        auxiliary = {cell: self.auxiliary[str(cell)](by_cell[cell]) for cell in AUXILIARY_CELLS}
        return logits, descriptors, auxiliary


class FeaturesStage:
    """See the module.

    Args:
        initial: The network to begin with, whose function is kept at step 0.
        photographs: (N, H, W) uint8 on the device.
        labels: Keypoints of the photographs, on the device.
        held_out: (M, H, W) uint8, never trained on.
        config: The settings.
        device: Where to train.
        real: Real photographs of the same places, if there are any.
    """

    name = "features"

    def __init__(
        self,
        initial: SuperPoint,
        photographs: Tensor,
        labels: Labels,
        held_out: Tensor,
        config: FeaturesConfig,
        device: torch.device,
        real: RealDescriptors | None = None,
    ) -> None:
        """Prepare the network and the validation."""
        self.config, self.device = config, device
        self._photographs, self._labels, self._real = photographs, labels, real
        self._made = config.batch - (real.count if real else 0)
        self._views = ViewConfig(scale=config.scale)
        self._photometrics = PhotometricConfig(strength=config.strength)
        self.network = FeatureNetwork(initial, config.temperature, config.frozen_stages)
        self.network = self.network.to(device)
        self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._calibrate()
        self._validation = FeatureValidation(held_out)

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """All alike."""
        return one_rate(network)

    def loss(self, network: nn.Module, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of both heads' losses on a batch."""
        batch, points, scores = self._batch(generator)
        views = self._real.draw(generator) if self._real else None
        images = batch.images.flatten(0, 1)
        if views:
            images = torch.cat([images, views.images.flatten(0, 1).to(self.device)])
        with autocast(self.device, self.config.precision):
            logits, descriptors, auxiliary = network(
                images.contiguous(memory_format=torch.channels_last)
            )
        made = 2 * self._made
        logits = logits[:made]
        labels = (batch.from_photograph(points).flatten(0, 1), scores.repeat(2, 1))
        valid = batch.valid.flatten(0, 1)
        targets = cell_targets(*labels, batch.size, valid)
        detection = detector_loss(logits, targets)
        finer = torch.zeros_like(detection)
        for cell, finer_logits in auxiliary.items():
            finer_targets = cell_targets(*labels, batch.size, valid, cell)
            # A keypoint weighs as much as it does among the cells of the detector
            finer = finer + detector_loss(finer_logits[:made], finer_targets) * (STRIDE / cell) ** 2
        temperature = torch.exp(network.get_parameter("log_temperature"))
        description, accuracy = self._describe(
            batch, targets, descriptors[:made], temperature, generator
        )
        figures = {"detector": detection, "finer": finer, "accuracy": accuracy}
        if views:
            of_real, right = real_loss(views, descriptors[made:].float(), temperature)
            share = 1 - self._made / self.config.batch
            description = torch.lerp(description, of_real, share)
            figures |= {"real descriptor": of_real, "real accuracy": right}
        total = (
            self.config.detector_weight * (detection + self.config.auxiliary_weight * finer)
            + self.config.descriptor_weight * description
        )
        return total, {**figures, "descriptor": description}

    def _describe(
        self,
        batch: ViewBatch,
        targets: Tensor,
        descriptors: Tensor,
        temperature: Tensor,
        generator: Generator,
    ) -> tuple[Tensor, Tensor]:
        """The descriptor's loss and the share of right nearest neighbours."""
        map0, map1 = descriptors.float().chunk(2)
        points0 = self._descriptor_points(targets.chunk(2)[0], generator)
        points1 = transform_points(batch.homography(), points0)
        valid = inside(points1, batch.size, margin=STRIDE / 2)
        points1 = torch.where(valid[..., None], points1, torch.zeros_like(points1))
        descriptors0 = sample_descriptor_maps(points0, map0)
        descriptors1 = sample_descriptor_maps(points1, map1)
        return dual_softmax_loss(descriptors0, descriptors1, points1, valid, temperature)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on fixed pairs: keypoints and matches, and the accuracy on real photographs."""
        figures = self._validation.measure(network)
        if self._real:
            figures |= {"real accuracy": self._real.accuracy(network, self.device)}
        return figures

    def _batch(self, generator: Generator) -> tuple[ViewBatch, Tensor, Tensor]:
        chosen = torch.randint(
            len(self._photographs), (self._made,), generator=generator, device=self.device
        )
        size = (self.config.view_width, self.config.view_height)
        batch = make_views(
            self._photographs[chosen], size, self._views, self._photometrics, generator
        )
        return batch, self._labels.points[chosen], self._labels.scores[chosen]

    def _descriptor_points(self, targets: Tensor, generator: Generator) -> Tensor:
        """One point of each of some cells: its keypoint where it has one, else any pixel."""
        _, rows, columns = targets.shape
        anywhere = torch.randint(STRIDE**2, targets.shape, generator=generator, device=self.device)
        has_keypoint = (targets >= 0) & (targets < STRIDE**2)
        pixel = torch.where(has_keypoint, targets, anywhere)
        row = torch.arange(rows, device=self.device)[:, None] * STRIDE + pixel // STRIDE
        column = torch.arange(columns, device=self.device) * STRIDE + pixel % STRIDE
        points = torch.stack([column, row], dim=3).flatten(1, 2).float()  # (B, cells, 2)
        if points.shape[1] <= self.config.descriptor_points:
            return points
        order = torch.rand(points.shape[:2], generator=generator, device=self.device)
        chosen = order.argsort(dim=1)[:, : self.config.descriptor_points]
        return points.gather(1, chosen[..., None].expand(-1, -1, 2))

    def _calibrate(self) -> None:
        generator = Generator(self.device).manual_seed(self.config.seed)
        batches = [
            self._batch(generator)[0].images.flatten(0, 1) for _ in range(CALIBRATION_BATCHES)
        ]
        self.network.superpoint.calibrate(torch.cat(batches))


def initial_superpoint(seed: int) -> SuperPoint:
    """A network with random weights that suit its ReLUs."""
    torch.manual_seed(seed)
    network = SuperPoint()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return network


def _finer_detector(channels: int, cell: int) -> nn.Conv2d:
    """A 1x1 detector that says "no keypoint" at first, since few of its small cells hold one."""
    detector = nn.Conv2d(channels, cell**2 + 1, kernel_size=1)
    nn.init.zeros_(detector.weight)
    bias = torch.zeros(cell**2 + 1)
    bias[-1] = NO_KEYPOINT_LOGIT
    detector.bias = nn.Parameter(bias)
    return detector
