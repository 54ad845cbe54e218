"""What `bag --pictures` puts into the bag, and the layout that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bag_helpers import COMPRESSED, ROS2, camera, camera_info, frame, stamp_ns, write_bag
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs, Summary
from superglue_ros.bag.run import BagRun
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.messages import matches_from_message, two_view_geometry_from_message

Messages = dict[str, list[tuple[int, Any]]]
PICTURES = Outputs(pictures=True, geometry=True)
IMAGE_MARKERS = {"/image_markers": 2, "/keypoint_markers": 4}  # LINE_LIST and POINTS


@pytest.fixture(scope="module")
def networks() -> tuple[SuperPointExtractor, SuperGlueMatcher]:
    return (
        SuperPointExtractor(max_keypoints=128, device="cpu"),
        SuperGlueMatcher(device="cpu", sinkhorn_iterations=20),
    )


def run(source: Path, output: Path, networks: Any, outputs: Outputs, **settings: Any) -> Summary:
    return BagRun(source, output, BagConfig(**settings), outputs).run(*networks)


def read(bag: Path) -> tuple[Messages, dict[str, Any]]:
    """Time and message by topic, and the connections, by the definitions in the bag."""
    with AnyReader([bag]) as reader:
        found: Messages = {}
        for connection, time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
        return found, {connection.topic: connection for connection in reader.connections}


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)


def decoded(message: Any) -> Any:
    return cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_every_pair_has_its_picture_its_image_its_marks_and_its_numbers(
    networks: Any, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "bag", camera(3))
    run(bag, tmp_path / "out", networks, PICTURES)
    found, _ = read(tmp_path / "out")
    expected = [stamp_ns(1), stamp_ns(2)]
    for topic in (
        *("/match_image/compressed", "/marker_image/compressed", "/match_statistics"),
        *IMAGE_MARKERS,
    ):
        assert [time_ns for time_ns, _ in found[topic]] == expected, topic
        assert [stamp_of(message) for _, message in found[topic]] == expected, topic
    picture = decoded(found["/match_image/compressed"][0][1])
    assert picture.shape == (120, 160 + 4 + 160, 3)
    image1 = decoded(found["/marker_image/compressed"][1][1])
    assert np.abs(image1.astype(int) - frame(2)).mean() < 5
    features0, features1, matches = matches_from_message(found["/matches"][0][1])
    geometry, _ = two_view_geometry_from_message(found["/geometry"][0][1])
    numbers = found["/match_statistics"][0][1]
    assert (numbers.keypoints0, numbers.keypoints1) == (len(features0), len(features1))
    assert (numbers.matches, numbers.inliers) == (len(matches), geometry.inliers.sum())
    assert numbers.median_confidence == pytest.approx(np.median(matches.confidences))
    assert numbers.refined_share == pytest.approx(matches.are_refined.mean())
    assert numbers.refined_share > 0.5
    for topic, kind in IMAGE_MARKERS.items():
        marker = found[topic][0][1]
        assert marker.type == kind
        assert len(marker.points) == len(marker.outline_colors)
    points = found["/keypoint_markers"][0][1].points
    np.testing.assert_allclose([(p.x, p.y) for p in points], features1.keypoints)
    ends = [(p.x, p.y) for p in found["/image_markers"][0][1].points]
    np.testing.assert_allclose(ends[::2], features0.keypoints[matches.pairs[:, 0]])


def test_points_of_a_stereo_pair_can_be_seen_upright(networks: Any, tmp_path: Path) -> None:
    infos = {side: camera_info(stamp_ns(0)) for side in ("left", "right")}
    infos["right"].p = infos["right"].p.copy()
    infos["right"].p[3] = -150 * 0.1
    messages = [
        *camera(2, "/left/image", shift=0),
        *camera(2, "/right/image", shift=4),
        *((f"/{side}/camera_info", stamp_ns(0), info) for side, info in infos.items()),
    ]
    bag = write_bag(tmp_path / "bag", sorted(messages, key=lambda one: one[1]))
    run(bag, tmp_path / "out", networks, PICTURES, mode="stereo", rectified=True)
    found, connections = read(tmp_path / "out")
    spheres, _ = found["/markers"][0][1].markers
    depths = [point.z for point in spheres.points]
    assert np.median(depths) == pytest.approx(150 * 0.1 / 4, rel=0.05)
    ((_, frames),) = found["/tf_static"]
    (transform,) = frames.transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("camera", "camera_upright")
    r = transform.transform.rotation
    assert rotated((r.x, r.y, r.z, r.w), (1, 0, 0)) == pytest.approx((0, 0, 1)), "x is forward"
    assert rotated((r.x, r.y, r.z, r.w), (0, 0, 1)) == pytest.approx((0, -1, 0)), "z is up"
    (offered,) = connections["/tf_static"].ext.offered_qos_profiles
    assert offered.durability == QosDurability.TRANSIENT_LOCAL


def rotated(quaternion: Any, vector: Any) -> Any:
    """By Rodrigues' formula of the axis and angle that OpenCV takes too."""
    axis, w = np.array(quaternion[:3]), quaternion[3]
    angle = 2 * np.arctan2(np.linalg.norm(axis), w)
    matrix, _ = cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)
    return tuple(matrix @ np.array(vector, float))


def test_pictures_of_colour_images_have_colour(networks: Any, tmp_path: Path) -> None:
    messages = []
    for number in range(2):
        tinted = cv2.merge([frame(number), frame(number) // 2, frame(number) // 4])
        data = cv2.imencode(".png", tinted)[1].reshape(-1)
        header = camera(number + 1)[number][2].header
        message = ROS2.types[COMPRESSED](header=header, format="bgr8; png", data=data)
        messages.append(("/camera/compressed", stamp_ns(number), message))
    bag = write_bag(tmp_path / "bag", messages)
    run(bag, tmp_path / "out", networks, PICTURES)
    found, _ = read(tmp_path / "out")
    blue, green, red = decoded(found["/marker_image/compressed"][0][1]).reshape(-1, 3).mean(axis=0)
    assert blue == pytest.approx(2 * green, rel=0.05)
    assert blue == pytest.approx(4 * red, rel=0.1)


def test_the_layout_shows_topics_that_the_bag_has(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(3))
    run(bag, tmp_path / "out", networks, PICTURES)
    text = (tmp_path / "out/foxglove_layout.json").read_text()
    panels = json.loads(text)["configById"]
    shown: set[str] = set()
    for panel in panels.values():
        mode = panel.get("imageMode", {})
        shown |= {mode["imageTopic"], *mode["annotations"]} if mode else set()
        shown |= {path["value"].partition(".")[0] for path in panel.get("paths", ())}
    found, _ = read(tmp_path / "out")
    assert shown <= set(found)
    assert {"/match_image/compressed", "/marker_image/compressed", *IMAGE_MARKERS} <= shown


def test_a_recording_of_pictures_can_be_matched_again(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(3))
    everything = Outputs(pictures=True, pass_through=None)
    run(bag, tmp_path / "out", networks, everything)
    summary = run(tmp_path / "out", tmp_path / "again", networks, everything)
    assert summary.topics == ("/camera",)
    assert summary.is_complete
    assert "/matches is not copied: the output has its own" in summary.notes
    found, _ = read(tmp_path / "again")
    assert len(found["/match_image/compressed"]) == 2
