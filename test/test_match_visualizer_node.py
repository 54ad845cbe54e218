"""match_visualizer_node over topics: which images it draws, when, and what else it shows."""

from __future__ import annotations

import array
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.qos import ReliabilityPolicy
from ros_helpers import BEST_EFFORT, header, image_message, ros_context, stamp, wait_until
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import MatchStatistics
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from visualization_msgs.msg import ImageMarker, Marker, MarkerArray

from superglue_ros.drawing.colours import INLIER, OUTLIER, confidence_colours
from superglue_ros.features import Features, Matches
from superglue_ros.geometry import Case, TwoViewGeometry
from superglue_ros.nodes.conversions import (
    image_to_message,
    matches_to_message,
    tracks_to_message,
    two_view_geometry_to_message,
)
from superglue_ros.nodes.match_visualizer_node import MatchVisualizerNode
from superglue_ros.tracks import Tracks

GAP = 4
ros = pytest.fixture(ros_context)


def grey(level: int, width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def matches_message(
    header0: Any,
    header1: Any,
    *,
    points0: Any = ((100, 200),),
    points1: Any = ((150, 200),),
    confidence: float = 0.75,
    sizes: Any = ((320, 240), (320, 240)),
) -> MatchesMessage:
    """Matches of each point of image 0 to the one at the same place of the list of image 1."""
    count = len(points0)
    features = [
        Features(
            np.array(points, np.float32).reshape(-1, 2),
            np.ones(count, np.float32),
            np.zeros((count, 0), np.float32),
            size,
            "",
        )
        for points, size in zip((points0, points1), sizes, strict=True)
    ]
    partners, scores = np.arange(count, dtype=np.int32), np.full(count, confidence, np.float32)
    matches = Matches(partners, partners, scores, scores, "test")
    return matches_to_message(matches, tuple(features), (header0, header1))


def pixels(message: Image) -> np.ndarray:
    assert message.encoding == "bgr8"
    return np.array(message.data, np.uint8).reshape(message.height, message.width, 3)


def colour(confidence: float) -> list[int]:
    return confidence_colours(np.array([confidence], np.float32))[0].tolist()


def send_frames(images: Any, matches: Any, count: int = 5) -> None:
    """Images of level 50, 60, ... one second apart; of each the matches to the one before."""
    for index in range(count):
        images.publish(image_message(grey(50 + 10 * index), header(index + 1)))
        if index:
            matches.publish(matches_message(header(index), header(index + 1)))


def received(node: Any, topic: str) -> int:
    """Messages that the node has received on a topic."""
    counts = node._inputs.counts_by_topic()
    return counts[node.resolve_topic_name(topic)]["received"]


def watch(ros: Any, node: Any, message_type: type, topic: str) -> Any:
    """A collector of a topic of the node, once the node knows of it."""
    collector = ros.collector(message_type, topic)
    wait_until(lambda: node.count_subscribers(f"{ros.namespace}/{topic}"), "a subscriber")
    return collector


@pytest.fixture
def topics(ros: Any) -> tuple[Any, Any]:
    """Publishers of images and matches that the node hears once it runs."""
    return ros.publisher(Image, "image"), ros.publisher(MatchesMessage, "matches")


def test_each_picture_shows_the_frame_before_beside_the_present_one(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    for index in range(3):
        topics[0].publish(image_message(grey(50 + 10 * index), header(index + 1, 7, "front")))
        if index:
            of = (header(index, 7, "front"), header(index + 1, 7, "front"))
            topics[1].publish(matches_message(*of))
            message = pictures.at(index + 1, 7)
            assert message.header == of[1]
            picture = pixels(message)
            assert picture.shape[1:] == (320 + GAP + 320, 3)
            assert picture[230, 10].tolist() == [40 + 10 * index] * 3
            assert picture[230, -10].tolist() == [50 + 10 * index] * 3
            assert picture[200, 100].tolist() == colour(0.75)
            assert picture[200, 320 + GAP + 150].tolist() == colour(0.75)


def test_pictures_are_published_reliable(ros: Any) -> None:
    ros.start(MatchVisualizerNode)
    topic = f"{ros.namespace}/match_image"
    wait_until(lambda: ros.node.get_publishers_info_by_topic(topic), "discovery")
    (publisher,) = ros.node.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    best_effort = ros.collector(Image, "match_image", BEST_EFFORT)
    assert not best_effort.messages


def test_nothing_is_drawn_while_nobody_watches(
    ros: Any, topics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    module = "superglue_ros.nodes.match_visualizer_node"
    monkeypatch.setattr(f"{module}.draw_matches", lambda *_, **__: drawn.append(1) or grey(0))
    monkeypatch.setattr(f"{module}.matches_from_message", lambda *_: drawn.append(1))
    node = ros.start(MatchVisualizerNode, process_every_frame=True)
    ros.wait_for_subscribers(*topics)
    send_frames(*topics)
    wait_until(lambda: node.counts["processed"] == 4, "four pairs")
    assert not drawn


def test_a_keyframe_is_kept_as_long_as_it_is_matched(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode, sync_queue_size=2, process_every_frame=True)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    topics[0].publish(image_message(grey(200), header(1)))
    for index in range(2, 8):
        topics[0].publish(image_message(grey(50), header(index)))
        topics[1].publish(matches_message(header(1), header(index)))
        assert pixels(pictures.at(index))[230, 10].tolist() == [200] * 3


def test_stereo_images_may_differ_in_size_and_come_in_any_order(ros: Any) -> None:
    left, right = (ros.publisher(Image, f"{side}/image") for side in ("left", "right"))
    matches = ros.publisher(MatchesMessage, "matches")
    node = ros.start(MatchVisualizerNode, mode="stereo")
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(left, right, matches)
    of_left, of_right = header(5, 0, "left"), header(5, 900, "right")
    sizes = ((320, 240), (200, 160))
    points = {"points0": ((100, 200),), "points1": ((50, 100),)}
    matches.publish(matches_message(of_left, of_right, sizes=sizes, **points))
    right.publish(image_message(grey(90, 200, 160), of_right))
    left.publish(image_message(grey(40), of_left))
    message = pictures.at(5, 900)
    assert message.header == of_right
    picture = pixels(message)
    assert picture.shape[1:] == (320 + GAP + 200, 3)
    assert picture[230, 10].tolist() == [40] * 3
    assert picture[150, -10].tolist() == [90] * 3
    assert picture[100, 320 + GAP + 50].tolist() == colour(0.75)


def test_without_image_0_image_1_is_shown_alone(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    topics[0].publish(image_message(grey(70), header(9)))
    topics[1].publish(matches_message(header(0, 0, "template.png"), header(9)))
    picture = pixels(pictures.at(9))
    assert picture.shape[1:] == (320, 3)
    assert picture[200, 150].tolist() == colour(0.75)


def test_a_lost_or_broken_image_costs_its_picture_and_no_more(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode, process_every_frame=True)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    images, matches = topics
    images.publish(image_message(grey(50), header(1)))
    matches.publish(matches_message(header(1), header(2)))  # its image is lost
    truncated = image_message(grey(60), header(3))
    truncated.data = truncated.data[:100]
    images.publish(truncated)
    matches.publish(matches_message(header(2), header(3)))
    broken = matches_message(header(3), header(4))
    broken.matches0 = array.array("i", [5])
    images.publish(image_message(grey(80), header(4)))
    matches.publish(broken)
    images.publish(image_message(grey(90), header(5)))
    matches.publish(matches_message(header(4), header(5)))
    assert pixels(pictures.at(5))[230, 10].tolist() == [80] * 3
    wait_until(lambda: node.counts["processed"] == 1, "the counts")
    assert node.counts["dropped: bad input"] == 3
    assert [stamp(message) for message in pictures.messages] == [(5, 0)]


def test_compressed_images_in_and_out(ros: Any) -> None:
    images = ros.publisher(CompressedImage, "image/compressed")
    matches = ros.publisher(MatchesMessage, "matches")
    node = ros.start(MatchVisualizerNode, image_transport="compressed", layout="stacked")
    pictures = watch(ros, node, CompressedImage, "match_image/compressed")
    ros.wait_for_subscribers(images, matches)
    for second in (1, 2):
        data = cv2.imencode(".png", grey(50 * second))[1].tobytes()
        images.publish(
            CompressedImage(header=header(second), format="png", data=array.array("B", data))
        )
    matches.publish(matches_message(header(1), header(2)))
    message = pictures.at(2)
    picture = cv2.imdecode(np.array(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1:] == (320, 3)
    assert np.abs(picture[400:480, 200:].astype(int) - 100).max() < 5


def test_inliers_have_their_colour_where_a_geometry_comes(ros: Any, topics: Any) -> None:
    geometries = ros.publisher(TwoViewGeometryMessage, "geometry")
    node = ros.start(MatchVisualizerNode, colour="inlier", layout="overlay")
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics, geometries)
    points = {
        "points0": ((100, 200), (200, 220)),
        "points1": ((100, 200), (200, 220)),
    }
    for second in (2, 3):
        of = header(second - 1), header(second)
        geometry = TwoViewGeometry(Case.GENERAL, np.array([True, False]))
        pairs = np.array([[0, 0], [1, 1]], np.int32)
        topics[0].publish(image_message(grey(50), of[1]))
        if second == 2:
            topics[1].publish(matches_message(*of, **points))
            first = pixels(pictures.at(2))
        geometries.publish(two_view_geometry_to_message(geometry, pairs, of))
    assert first[200, 100].tolist() == colour(0.75), "none had come yet"
    wait_until(lambda: received(node, "geometry") == 2, "both geometries")
    topics[1].publish(matches_message(header(2), header(3), **points))
    picture = pixels(pictures.at(3))
    assert picture[200, 100].tolist() == list(INLIER)
    assert picture[220, 200].tolist() == list(OUTLIER)
    # From now on it is waited for.
    topics[0].publish(image_message(grey(50), header(4)))
    topics[1].publish(matches_message(header(3), header(4), **points))
    assert pictures.find(4, timeout_sec=0.3) is None
    geometries.publish(two_view_geometry_to_message(geometry, pairs, (header(3), header(4))))
    assert pixels(pictures.at(4))[200, 100].tolist() == list(INLIER)


def test_tracks_are_drawn_with_their_tails(ros: Any, topics: Any) -> None:
    tracks = ros.publisher(TracksMessage, "tracks")
    node = ros.start(MatchVisualizerNode, layout="overlay")
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics, tracks)
    for second, x in ((1, 50), (2, 100), (3, 150)):
        found = Tracks(
            np.array([4], np.int64),
            np.array([0], np.int32),
            np.array([[x, 200]], np.float32),
            np.array([second], np.int32),
            np.zeros(0, np.int64),
        )
        tracks.publish(tracks_to_message(found, (320, 240), header(second)))
        topics[0].publish(image_message(grey(50), header(second)))
    wait_until(lambda: received(node, "tracks") == 3, "three messages of tracks")
    topics[1].publish(matches_message(header(2), header(3)))
    row = pixels(pictures.at(3))[200].astype(int)
    assert np.abs(row[75] - 50).sum() > 30, "a tail goes farther back than a match"
    assert np.abs(row[30] - 50).sum() == 0


def test_keypoints_and_lines_are_marked_on_topics_of_their_own(ros: Any, topics: Any) -> None:
    ros.start(MatchVisualizerNode)
    of_points, of_lines = (
        ros.collector(ImageMarker, topic) for topic in ("keypoint_markers", "image_markers")
    )
    node_topics = (f"{ros.namespace}/keypoint_markers", f"{ros.namespace}/image_markers")
    wait_until(lambda: all(map(ros.node.count_publishers, node_topics)), "the publishers")
    ros.wait_for_subscribers(topics[1])
    for second in (2, 3):  # the first may come before a subscription is known
        topics[0].publish(image_message(grey(50), header(second)))
        topics[1].publish(matches_message(header(second - 1), header(second)))
    points, lines = of_points.at(3), of_lines.at(3)
    assert (points.type, lines.type) == (ImageMarker.POINTS, ImageMarker.LINE_LIST)
    assert (points.scale, lines.scale) == (3, 1)
    assert points.header == lines.header == header(3)
    assert [(point.x, point.y) for point in points.points] == [(150, 200)]
    assert [(point.x, point.y) for point in lines.points] == [(100, 200), (150, 200)]
    blue, green, red = colour(0.75)
    shown = points.outline_colors[0]
    np.testing.assert_allclose(
        [shown.r, shown.g, shown.b, shown.a], [red / 255, green / 255, blue / 255, 1], atol=1e-6
    )


@pytest.mark.parametrize("mode", ["mono", "stereo"])
def test_image_1_of_the_pair_comes_beside_its_marks_though_newer_images_have_come(
    ros: Any, mode: str
) -> None:
    names = ("left/image", "right/image") if mode == "stereo" else ("image",)
    images = [ros.publisher(Image, name) for name in names]
    matches = ros.publisher(MatchesMessage, "matches")
    node = ros.start(MatchVisualizerNode, mode=mode)
    shown = watch(ros, node, Image, "marker_image")
    small = watch(ros, node, CompressedImage, "marker_image/compressed")
    ros.wait_for_subscribers(*images, matches)
    for second in (1, 2, 3):
        for index, publisher in enumerate(images):
            publisher.publish(image_message(grey(50 * second + index), header(second)))
    wait_until(lambda: received(node, names[-1]) == 3, "the images")
    matches.publish(matches_message(header(1 if mode == "mono" else 2), header(2)))
    message = shown.at(2)
    assert message.header == header(2)
    level = 100 if mode == "mono" else 101
    assert (message.encoding, message.data[0]) == ("mono8", level)
    picture = cv2.imdecode(np.array(small.at(2).data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (240, 320)
    assert abs(int(picture[0, 0]) - level) <= 2


def test_the_numbers_of_a_pair_come_with_its_inliers_and_how_late_it_was(ros: Any) -> None:
    matches = ros.publisher(MatchesMessage, "matches")
    geometries = ros.publisher(TwoViewGeometryMessage, "geometry")
    node = ros.start(MatchVisualizerNode)
    found = watch(ros, node, MatchStatistics, "match_statistics")
    ros.wait_for_subscribers(matches, geometries)
    points = {"points0": ((100, 200), (200, 220)), "points1": ((100, 200), (200, 220))}
    now = ros.node.get_clock().now().nanoseconds // 10**9
    matches.publish(matches_message(header(1), header(2), **points))
    first = found.at(2)
    assert (first.keypoints0, first.keypoints1, first.matches, first.inliers) == (2, 2, 2, -1)
    assert first.median_confidence == pytest.approx(0.75)
    assert (first.refined_share, first.milliseconds) == (0, 0), "its stamp is of another clock"
    geometry = TwoViewGeometry(Case.GENERAL, np.array([True, False]))
    of = header(2), header(now)
    geometries.publish(
        two_view_geometry_to_message(geometry, np.array([[0, 0], [1, 1]], np.int32), of)
    )
    wait_until(lambda: received(node, "geometry") == 1, "the geometry")
    matches.publish(matches_message(*of, **points))
    second = found.at(now)
    assert second.header == of[1]
    assert second.inliers == 1
    assert 0 < second.milliseconds < 60_000


def test_pictures_of_colour_images_have_colour(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    blue = np.full((240, 320, 3), (200, 40, 10), np.uint8)
    for second in (1, 2):
        topics[0].publish(image_to_message(blue, header(second)))
    topics[1].publish(matches_message(header(1), header(2)))
    assert pixels(pictures.at(2))[230, 10].tolist() == [200, 40, 10]


def point_cloud(rows: Any, of: Any, names: str = "xyz") -> PointCloud2:
    data = np.array(rows, np.float32)
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate([*names, "confidence"])
    ]
    return PointCloud2(
        header=of,
        height=1,
        width=len(data),
        fields=fields,
        point_step=4 * data.shape[1],
        row_step=data.nbytes,
        data=array.array("B", data.tobytes()),
    )


def test_points_in_space_become_markers_and_broken_ones_a_warning(ros: Any) -> None:
    clouds = ros.publisher(PointCloud2, "points")
    node = ros.start(MatchVisualizerNode)
    found = watch(ros, node, MarkerArray, "markers")
    ros.wait_for_subscribers(clouds)
    rows = [[0, 0, 2, 0.5], [1, 0, 4, 1.0], [np.nan, np.nan, np.nan, 0.1]]
    clouds.publish(point_cloud(rows, header(1), names="uvw"))
    truncated = point_cloud(rows, header(2))
    truncated.data = truncated.data[:20]
    clouds.publish(truncated)
    clouds.publish(point_cloud(rows, header(3, 0, "left_optical")))
    (message,) = found.wait_for(1)
    points, camera = message.markers
    assert points.header == camera.header == header(3, 0, "left_optical")
    assert (points.type, camera.type) == (Marker.SPHERE_LIST, Marker.LINE_LIST)
    assert [(p.x, p.y, p.z) for p in points.points] == [(0, 0, 2), (1, 0, 4)]
    assert [round(c.r * 255) for c in points.colors] == [colour(0.5)[2], colour(1.0)[2]]
    assert min(p.z for p in camera.points) == 0 < max(p.z for p in camera.points) < 1


def test_stamps_that_jump_back_begin_anew(ros: Any, topics: Any) -> None:
    node = ros.start(MatchVisualizerNode)
    pictures = watch(ros, node, Image, "match_image")
    ros.wait_for_subscribers(*topics)
    for count, seconds in ((2, (100, 101)), (4, (5, 6))):
        for second in seconds:
            topics[0].publish(image_message(grey(second), header(second)))
        wait_until(lambda count=count: received(node, "image") == count, "both images")
        topics[1].publish(matches_message(header(seconds[0]), header(seconds[1])))
        assert pixels(pictures.at(seconds[1]))[230, 10].tolist() == [seconds[0]] * 3


def test_all_is_written_for_rerun_without_anybody_watching(
    ros: Any, topics: Any, tmp_path: Path
) -> None:
    reader = pytest.importorskip("rerun.chunk").RrdReader
    path = tmp_path / "live.rrd"
    infos, clouds = ros.publisher(CameraInfo, "camera_info"), ros.publisher(PointCloud2, "points")
    node = ros.start(MatchVisualizerNode, rerun=str(path), process_every_frame=True)
    ros.wait_for_subscribers(*topics, infos, clouds)
    matrix = [400.0, 0.0, 160.0, 0.0, 0.0, 400.0, 120.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    infos.publish(CameraInfo(header=header(1), width=320, height=240, p=matrix))
    clouds.publish(point_cloud([[0, 0, 2, 0.5]], header(1)))
    send_frames(*topics)
    wait_until(lambda: node.counts["processed"] == 4, "four pairs")
    wait_until(lambda: received(node, "points") == received(node, "camera_info") == 1, "the rest")
    node.trigger_deactivate()
    node.trigger_cleanup()
    rows: dict[str, int] = {}
    for chunk in reader(path).store().stream():
        if "stamp" in chunk.timeline_names:
            rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    entities = (
        *("/pair", "/pair/keypoints", "/pair/matches"),
        *("/counts/keypoints0", "/counts/keypoints1", "/counts/matches"),
        *("/shares/median_confidence", "/shares/refined_share"),
    )
    pair = dict.fromkeys(entities, 4)
    assert rows == pair | {"/camera/view": 1, "/camera/points": 1}
