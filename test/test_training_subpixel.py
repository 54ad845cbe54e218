"""Keypoints between the pixels."""

from __future__ import annotations

import torch

from superglue_ros.networks.subpixel import soft_argmax


def test_the_centre_of_mass_by_hand() -> None:
    heat = torch.zeros(20, 20)
    heat[10, 7], heat[10, 8], heat[11, 7] = 0.5, 0.25, 0.25
    moved = soft_argmax(heat, torch.tensor([[7.0, 10.0]]))
    torch.testing.assert_close(moved, torch.tensor([[7.25, 10.25]]))


def test_a_peak_between_pixels_is_found() -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    heat = torch.exp(-((x - 12.4) ** 2 + (y - 9.7) ** 2) / (2 * 0.6**2))
    moved = soft_argmax(heat, torch.tensor([[12.0, 10.0]]))
    torch.testing.assert_close(moved, torch.tensor([[12.4, 9.7]]), atol=0.02, rtol=0)


def test_borders_and_nothing_are_handled() -> None:
    heat = torch.rand(8, 8)
    moved = soft_argmax(heat, torch.tensor([[0.0, 0.0], [7.0, 7.0]]))
    assert torch.isfinite(moved).all()
    assert soft_argmax(heat, torch.zeros(0, 2)).shape == (0, 2)


def test_images_of_a_batch_are_moved_each_by_itself() -> None:
    heat, keypoints = torch.rand(3, 20, 30), torch.randint(0, 20, (3, 6, 2)).float()
    together = soft_argmax(heat, keypoints)
    for index in range(3):
        torch.testing.assert_close(together[index], soft_argmax(heat[index], keypoints[index]))
