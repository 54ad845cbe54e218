"""Masks on images: static files, the border, and a topic; and compressed images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import StereoPair
from ros_helpers import Ros, header, image_message, reduced, ros_context, wait_until
from sensor_msgs.msg import CompressedImage, Image
from superglue_ros.msg import Features as FeaturesMessage

from superglue_ros.features import GreyImage
from superglue_ros.nodes.conversions import features_from_message
from superglue_ros.nodes.superpoint_node import SuperPointNode

COUNT = 40
SETTINGS = {"max_keypoints": COUNT, "device": "cpu", "process_every_frame": True}

ros = pytest.fixture(ros_context)


@pytest.fixture
def image(stereo_pair: StereoPair) -> GreyImage:
    return reduced(stereo_pair.left)


@pytest.fixture
def right_half(image: GreyImage) -> GreyImage:
    mask = np.zeros_like(image)
    mask[:, 80:] = 255
    return mask


def test_a_mask_file_moves_the_keypoints_and_keeps_their_number(
    ros: Ros, image: GreyImage, right_half: GreyImage, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), right_half)
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(Image, "image")
    ros.start(SuperPointNode, mask_file=str(tmp_path / "mask.png"), mask_border=10, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    publisher.publish(image_message(image, header(1)))
    keypoints = features_from_message(features.at(1)).keypoints
    assert len(keypoints) == COUNT
    assert keypoints.min(axis=0)[0] >= 80
    assert keypoints.min(axis=0)[1] >= 10
    assert (keypoints.max(axis=0) <= (149, 109)).all()


def test_each_camera_of_a_stereo_pair_has_its_mask_file(
    ros: Ros, image: GreyImage, right_half: GreyImage, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "left.png"), 255 - right_half)
    cv2.imwrite(str(tmp_path / "right.png"), right_half)
    collectors = [ros.collector(FeaturesMessage, f"{side}/features") for side in ("left", "right")]
    publishers = [ros.publisher(Image, f"{side}/image") for side in ("left", "right")]
    ros.start(
        SuperPointNode,
        mode="stereo",
        mask_file=str(tmp_path / "left.png"),
        right_mask_file=str(tmp_path / "right.png"),
        **SETTINGS,
    )
    ros.wait_for_subscribers(*publishers)
    for publisher in publishers:
        publisher.publish(image_message(image, header(1)))
    left, right = (features_from_message(topic.at(1)).keypoints[:, 0] for topic in collectors)
    assert (len(left), len(right)) == (COUNT, COUNT)
    assert left.max() < 80 <= right.min()


def test_a_mask_topic_masks_the_image_of_its_stamp(
    ros: Ros, image: GreyImage, right_half: GreyImage
) -> None:
    features = ros.collector(FeaturesMessage, "features")
    images, masks = ros.publisher(Image, "image"), ros.publisher(Image, "mask")
    ros.start(SuperPointNode, use_mask_topic=True, exact_sync=True, **SETTINGS)
    ros.wait_for_subscribers(images, masks)
    for second, mask in ((1, right_half), (2, 255 - right_half)):
        masks.publish(image_message(mask, header(second)))
        images.publish(image_message(image, header(second)))
    first, second_ = (features_from_message(features.at(s)).keypoints[:, 0] for s in (1, 2))
    assert second_.max() < 80 <= first.min()


def test_a_mask_of_another_size_drops_the_frame(
    ros: Ros, image: GreyImage, right_half: GreyImage, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), right_half[:60])
    publisher = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, mask_file=str(tmp_path / "mask.png"), **SETTINGS)
    ros.wait_for_subscribers(publisher)
    publisher.publish(image_message(image, header(1)))
    wait_until(lambda: node.counts["dropped: bad input"] == 1, "the frame to be dropped")
    assert node.counts == {"received": 1, "dropped: bad input": 1}


def test_an_unreadable_mask_file_keeps_the_node_from_starting(ros: Ros, tmp_path: Path) -> None:
    node = ros.start(SuperPointNode, active=False, mask_file=str(tmp_path / "no.png"), **SETTINGS)
    assert node.trigger_configure().name == "FAILURE"


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_compressed_images_come_in_beside_the_image_topic(
    ros: Ros, image: GreyImage, ending: str
) -> None:
    _, data = cv2.imencode(ending, image)
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(CompressedImage, "image/compressed")
    node = ros.start(SuperPointNode, image_transport="compressed", **SETTINGS)
    ros.wait_for_subscribers(publisher)
    good = CompressedImage(header=header(2), format=ending[1:], data=data.tobytes())
    cut = CompressedImage(header=header(1), format=ending[1:], data=data.tobytes()[:10])
    publisher.publish(cut)
    publisher.publish(good)
    message = features.at(2)
    assert (message.width, message.height, len(message.keypoints)) == (160, 120, 3 * COUNT)
    wait_until(lambda: node.counts["processed"] == 1, "the image to be counted")
    assert node.counts == {"received": 2, "processed": 1, "dropped: bad input": 1}
