"""The SuperPoint network against an implementation of the paper in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from superglue_ros.networks import SuperPoint, detector_probabilities

SHAPES = {
    "conv1a": (64, 1, 3, 3),
    "conv1b": (64, 64, 3, 3),
    "conv2a": (64, 64, 3, 3),
    "conv2b": (64, 64, 3, 3),
    "conv3a": (128, 64, 3, 3),
    "conv3b": (128, 128, 3, 3),
    "conv4a": (128, 128, 3, 3),
    "conv4b": (128, 128, 3, 3),
    "convPa": (256, 128, 3, 3),
    "convPb": (65, 256, 1, 1),
    "convDa": (256, 128, 3, 3),
    "convDb": (256, 256, 1, 1),
}


@pytest.fixture(scope="module")
def network() -> SuperPoint:
    """Random weights that keep the activations' size from layer to layer, so that each counts."""
    torch.manual_seed(0)
    network = SuperPoint()
    for layer in network.children():
        assert isinstance(layer, nn.Conv2d)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, std=0.2)
    return network.double().eval()


def convolve(network: SuperPoint, name: str, x: np.ndarray) -> np.ndarray:
    """A convolution with zeros around the image, as a sum over the kernel's shifts."""
    layer = getattr(network, name)
    weight = layer.weight.detach().numpy()
    height, width = x.shape[1:]
    reach = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
    result = np.zeros((weight.shape[0], height, width)) + layer.bias.detach().numpy()[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            shifted = padded[:, i : i + height, j : j + width]
            result += np.einsum("oc,chw->ohw", weight[:, :, i, j], shifted)
    return result


def pool(x: np.ndarray) -> np.ndarray:
    channels, height, width = x.shape
    return x.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))


def heads_by_hand(network: SuperPoint, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def relu(name: str, x: np.ndarray) -> np.ndarray:
        return np.maximum(convolve(network, name, x), 0)

    x = pool(relu("conv1b", relu("conv1a", image[None])))
    x = pool(relu("conv2b", relu("conv2a", x)))
    x = pool(relu("conv3b", relu("conv3a", x)))
    x = relu("conv4b", relu("conv4a", x))
    logits = convolve(network, "convPb", relu("convPa", x))
    return logits, convolve(network, "convDb", relu("convDa", x))


def test_parameters_have_the_published_names_and_shapes() -> None:
    expected = {f"{name}.weight": shape for name, shape in SHAPES.items()}
    expected |= {f"{name}.bias": shape[:1] for name, shape in SHAPES.items()}
    assert {k: tuple(v.shape) for k, v in SuperPoint().state_dict().items()} == expected


@torch.inference_mode()
def test_the_heads_are_the_papers(network: SuperPoint, rng: np.random.Generator) -> None:
    image = rng.random((24, 40))
    logits, descriptors = network.heads(torch.from_numpy(image)[None, None])
    expected_logits, expected_descriptors = heads_by_hand(network, image)
    np.testing.assert_allclose(logits[0], expected_logits, atol=1e-9)
    np.testing.assert_allclose(descriptors[0], expected_descriptors, atol=1e-9)


@torch.inference_mode()
def test_dense_outputs_are_probabilities_and_unit_descriptors(
    network: SuperPoint, rng: np.random.Generator
) -> None:
    image = rng.random((32, 16))
    probabilities, descriptors = network(torch.from_numpy(image)[None, None])
    logits, raw = heads_by_hand(network, image)
    assert probabilities.shape == (1, 32, 16)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    # One probability of the softmax over 65 channels, far from the cell's first pixel.
    y, x = 29, 14
    cell = np.exp(logits[:, y // 8, x // 8])
    np.testing.assert_allclose(probabilities[0, y, x], cell[8 * 5 + 6] / cell.sum(), rtol=1e-5)
    np.testing.assert_allclose(descriptors[0], raw / np.linalg.norm(raw, axis=0), atol=1e-9)


@torch.inference_mode()
def test_images_of_a_batch_do_not_see_each_other(
    network: SuperPoint, rng: np.random.Generator
) -> None:
    batch = torch.from_numpy(rng.random((3, 1, 16, 24)))
    together = network(batch)
    for index in range(3):
        for output, alone in zip(together, network(batch[index : index + 1]), strict=True):
            torch.testing.assert_close(output[index], alone[0])


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 1), (1, 0), (3, 6), (7, 0), (7, 7)])
def test_channel_8i_plus_j_is_row_i_and_column_j_of_its_cell(i: int, j: int) -> None:
    logits = torch.full((1, 65, 3, 4), -10.0)
    logits[0, 64] = 10
    logits[0, 8 * i + j, 2, 1] = 30
    probabilities = detector_probabilities(logits)
    assert probabilities.shape == (1, 24, 32)
    assert probabilities.argmax() == (8 * 2 + i) * 32 + 8 * 1 + j
    assert probabilities.max() == pytest.approx(1)


def test_the_last_channel_takes_its_share_but_is_no_pixel() -> None:
    logits = torch.zeros(1, 65, 1, 2)
    logits[0, 64, 0, 1] = np.log(36)  # of 100 in all, so that each pixel has 1 %
    probabilities = detector_probabilities(logits)
    np.testing.assert_allclose(probabilities[0, :, :8], 1 / 65, rtol=1e-5)
    np.testing.assert_allclose(probabilities[0, :, 8:], 1 / 100, rtol=1e-5)


def test_half_precision_logits_give_probabilities_in_single_precision() -> None:
    assert detector_probabilities(torch.zeros(1, 65, 1, 1).half()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(1, 1, 12, 16), (1, 1, 16, 12), (1, 3, 16, 16), (1, 16, 16)])
def test_an_image_of_another_shape_is_refused(network: SuperPoint, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 8") as caught:
        network(torch.zeros(shape, dtype=torch.float64))
    assert str(shape) in str(caught.value)
