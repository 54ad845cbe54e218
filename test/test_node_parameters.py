"""Parameters of the nodes: how they are described, what they accept, when they take effect."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from rcl_interfaces.msg import Log, ParameterDescriptor, ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_helpers import (
    NodeProcess,
    Ros,
    header,
    image_message,
    ros_context,
    small_image,
    wait_until,
)
from sensor_msgs.msg import Image
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.config import Setting
from superglue_ros.errors import InputError
from superglue_ros.nodes.frame_node import FrameNode
from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.match_visualizer_node import MatchVisualizerNode
from superglue_ros.nodes.pipeline_node import PipelineNode
from superglue_ros.nodes.superglue_node import SuperGlueNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

NODES = {
    "superpoint_node": SuperPointNode,
    "superglue_node": SuperGlueNode,
    "pipeline_node": PipelineNode,
    "geometry_node": GeometryNode,
}
KINDS = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}

ros = pytest.fixture(ros_context)


@pytest.fixture(params=sorted(NODES))
def node_name(request: pytest.FixtureRequest) -> str:
    return request.param


def get_parameters(ros: Ros, node_name: str, *names: str) -> list[Any]:
    """Their values, asked for as any other node would."""
    request = GetParameters.Request(names=names)
    values = ros.call(GetParameters, f"{node_name}/get_parameters", request).values
    return [parameter_value_to_python(value) for value in values]


def describe(ros: Ros, node_name: str, *names: str) -> list[ParameterDescriptor]:
    request = DescribeParameters.Request(names=names)
    return ros.call(DescribeParameters, f"{node_name}/describe_parameters", request).descriptors


def range_of(descriptor: ParameterDescriptor) -> tuple[float, float] | None:
    ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
    return (ranges[0].from_value, ranges[0].to_value) if ranges else None


def test_every_setting_is_a_parameter_with_its_default_and_description(
    ros: Ros, node_name: str
) -> None:
    node = ros.start(NODES[node_name], active=False)
    known = node.config_type.describe()
    names = [setting.name for setting in known]
    assert get_parameters(ros, node_name, *names) == [setting.default for setting in known]
    for setting, descriptor in zip(known, describe(ros, node_name, *names), strict=True):
        assert descriptor.name == setting.name
        assert descriptor.type == KINDS[type(setting.default)]
        assert descriptor.description == setting.description
        assert not descriptor.dynamic_typing


def test_every_number_has_its_range_and_every_choice_its_words(ros: Ros, node_name: str) -> None:
    node = ros.start(NODES[node_name], active=False)
    for setting in node.config_type.describe():
        (descriptor,) = describe(ros, node_name, setting.name)
        if isinstance(setting.default, (int, float)) and not isinstance(setting.default, bool):
            assert range_of(descriptor) == (setting.minimum, setting.maximum)
        for word in setting.choices:
            assert word in descriptor.additional_constraints


def test_a_node_has_no_parameter_that_no_setting_describes(ros: Ros, node_name: str) -> None:
    node = ros.start(NODES[node_name], active=False)
    listed = ros.call(ListParameters, f"{node_name}/list_parameters", ListParameters.Request())
    of_ros = {"use_sim_time", "start_type_description_service"}
    assert set(listed.result.names) - of_ros == {s.name for s in node.config_type.describe()}


def of_another_type(setting: Setting) -> list[Any]:
    return [[1, 2], 1 if isinstance(setting.default, (str, bool)) else "many"]


def out_of_range(setting: Setting) -> list[Any]:
    values: list[Any] = ["no such word"] if setting.choices else []
    values += [] if setting.minimum is None else [type(setting.default)(setting.minimum - 1)]
    values += [] if setting.maximum is None else [type(setting.default)(setting.maximum + 1)]
    values += [float("nan")] if isinstance(setting.default, float) else []
    return values


def test_a_value_that_a_setting_refuses_is_named_at_the_start(ros: Ros, node_name: str) -> None:
    for setting in NODES[node_name].config_type.describe():
        for value in of_another_type(setting) + out_of_range(setting):
            with pytest.raises(InputError, match=setting.name) as caught:
                ros.start(NODES[node_name], active=False, **{setting.name: value})
            assert "\n" not in str(caught.value)


def test_a_value_that_a_setting_refuses_is_named_to_who_sets_it(ros: Ros, node_name: str) -> None:
    node = ros.start(NODES[node_name], active=False)
    for setting in node.config_type.describe():
        for value in of_another_type(setting):
            assert not ros.set_parameters(node_name, **{setting.name: value}).successful
        for value in out_of_range(setting):
            result = ros.set_parameters(node_name, **{setting.name: value})
            assert not result.successful
            assert setting.name in result.reason
        assert get_parameters(ros, node_name, setting.name) == [setting.default]


@pytest.mark.parametrize("word", ["on", "off"])
def test_on_and_off_are_words_also_where_ros_reads_booleans(ros: Ros, word: str) -> None:
    ros.start(SuperPointNode, active=False, subpixel=word == "on")
    assert get_parameters(ros, "superpoint_node", "subpixel") == [word]
    other = {"on": "off", "off": "on"}[word]
    assert ros.set_parameters("superpoint_node", subpixel=other == "on").successful
    assert get_parameters(ros, "superpoint_node", "subpixel") == [other]


def test_a_whole_number_does_for_every_parameter_with_a_point(ros: Ros, node_name: str) -> None:
    of_float = [s for s in NODES[node_name].config_type.describe() if type(s.default) is float]
    whole = {s.name: math.ceil(s.minimum) for s in of_float}
    assert whole
    ros.start(NODES[node_name], active=False, **whole)
    values = get_parameters(ros, node_name, *whole)
    assert values == [float(value) for value in whole.values()]
    assert {type(value) for value in values} == {float}
    for name, value in whole.items():
        assert ros.set_parameters(node_name, **{name: value}).successful


def unknown_on(ros: Ros, node_type: type[FrameNode[Any]], **parameters: Any) -> list[str]:
    """The two warnings of a node that is started with two parameters it does not have."""
    history = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    log = ros.collector(Log, "/rosout", history)
    ros.start(node_type, active=False, **parameters)

    def warnings() -> list[str]:
        logger = f"{ros.namespace[1:]}.{node_type.node_name}"
        lines = [one.msg for one in log.messages if one.name == logger]
        return [line for line in lines if "unknown parameter" in line]

    wait_until(lambda: len(warnings()) == 2, "two warnings in the log")
    return warnings()


def test_an_unknown_parameter_is_warned_of_with_the_name_that_was_meant(ros: Ros) -> None:
    given = {"match_treshold": 0.3, "bogus": 1, "match_threshold": 0.4}
    warnings = unknown_on(ros, SuperGlueNode, **given)
    assert any("match_treshold" in line and "match_threshold" in line for line in warnings)
    assert any("bogus" in line for line in warnings)
    assert get_parameters(ros, "superglue_node", "match_threshold") == [0.4]


SHARED_FILE = """
/**:
  ros__parameters:
    mode: stereo           # of this one
    max_keypoints: 300     # of another one of ours
    frame_rate: 30         # of a camera
    match_treshold: 0.3    # a slip
    qos_overrides: {/matches: {publisher: {reliability: best_effort}}}
/**/superglue_node:
  ros__parameters:
    bogus: 1
/somewhere/else:
  ros__parameters:
    other: 2
"""


def test_of_a_file_for_all_nodes_only_slips_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(SHARED_FILE)
    process = NodeProcess("superglue_node", "--params-file", str(file), "-p", "autostart:=false")
    try:
        wait_until(lambda: "qos_overrides" in process.output, "the last of the warnings")
        lines = [line.partition("]: ")[2] for line in process.output.splitlines()]
    finally:
        process.close()
    assert sorted(lines) == [
        "qos_overrides./matches.publisher.reliability has no effect: inputs follow their "
        "publishers (parameter qos), outputs are reliable and volatile",
        "unknown parameter 'bogus' is ignored",
        "unknown parameter 'match_treshold' is ignored; did you mean match_threshold?",
    ]


@pytest.mark.parametrize("node_type", [GeometryNode, MatchVisualizerNode])
def test_a_node_that_joins_nothing_has_no_settings_of_joining(
    ros: Ros, node_type: type[FrameNode[Any]]
) -> None:
    given = {"exact_sync": True, "sync_slop_sec": 0.1}
    warnings = unknown_on(ros, node_type, **given)
    for name, value in given.items():
        assert any(name in line for line in warnings)
        assert not ros.set_parameters(node_type.node_name, **{name: value}).successful


class Extraction:
    """An active superpoint_node with one camera."""

    def __init__(self, ros: Ros, **parameters: Any) -> None:
        self._ros = ros
        self._images = ros.publisher(Image, "image")
        self._features = ros.collector(FeaturesMessage, "features")
        self._second = 0
        self.node = ros.start(SuperPointNode, device="cpu", **parameters)
        ros.wait_for_subscribers(self._images)

    def features(self) -> FeaturesMessage:
        """The answer to an image."""
        self._second += 1
        self._images.publish(image_message(small_image(), header(self._second)))
        return self._features.at(self._second)

    def count(self) -> int:
        return len(self.features().keypoints) // 3


def test_a_live_change_takes_effect_with_the_next_frame(ros: Ros) -> None:
    extraction = Extraction(ros, max_keypoints=20)
    assert extraction.count() == 20
    assert ros.set_parameters("superpoint_node", max_keypoints=7).successful
    assert extraction.count() == 7
    assert ros.set_parameters("superpoint_node", keypoint_threshold=1.0).successful
    assert extraction.count() == 0


def test_changes_of_which_one_is_refused_are_refused_as_a_whole(ros: Ros) -> None:
    extraction = Extraction(ros, max_keypoints=20)
    result = ros.set_parameters("superpoint_node", max_keypoints=7, keypoint_threshold=2.0)
    assert not result.successful
    assert "keypoint_threshold" in result.reason
    assert get_parameters(ros, "superpoint_node", "max_keypoints") == [20]
    assert extraction.count() == 20


def test_what_is_not_live_is_refused_while_the_node_is_configured(ros: Ros) -> None:
    extraction = Extraction(ros, max_keypoints=20)
    for name, value in {"mode": "stereo", "weights": "other.pth", "qos": "reliable"}.items():
        result = ros.set_parameters("superpoint_node", **{name: value, "max_keypoints": 7})
        assert not result.successful
        assert name in result.reason
    assert extraction.count() == 20


def test_what_is_not_live_can_change_before_the_node_is_configured(ros: Ros) -> None:
    node = ros.start(SuperPointNode, active=False, device="cpu")
    assert ros.set_parameters("superpoint_node", mode="stereo").successful
    node.trigger_configure()
    node.trigger_activate()
    assert ros.node.count_subscribers("left/image") == 1
    assert ros.node.count_subscribers("right/image") == 1
    assert ros.node.count_subscribers("image") == 0


def test_descriptors_are_left_out_on_wish(ros: Ros) -> None:
    features = Extraction(ros, max_keypoints=5, publish_descriptors=False).features()
    assert len(features.keypoints) == 15
    assert len(features.descriptors) == 0


def test_a_live_match_threshold_takes_effect_with_the_next_pair(ros: Ros) -> None:
    features = Extraction(ros, max_keypoints=20).features()
    publisher = ros.publisher(FeaturesMessage, "stream/features")
    matches = ros.collector(MatchesMessage, "stream/matches")
    ros.start(SuperGlueNode, under="stream", device="cpu", process_every_frame=True)
    ros.wait_for_subscribers(publisher)

    def publish(second: int) -> None:
        features.header = header(second)
        publisher.publish(features)

    def match_count(second: int) -> int:
        publish(second)
        return sum(index >= 0 for index in matches.at(second).matches0)

    publish(1)
    assert match_count(2) > 10
    assert ros.set_parameters("stream/superglue_node", match_threshold=1.0).successful
    assert match_count(3) == 0
    assert not ros.set_parameters("stream/superglue_node", match_threshold=1.5).successful
    assert match_count(4) == 0


@pytest.fixture(scope="module")
def refused_starts() -> dict[str, tuple[int, str]]:
    """Exit status and output of processes that are given something unusable, all at once."""
    processes = {
        argument: NodeProcess(executable, "-p", argument)
        for executable, argument in (
            ("superpoint_node", "mode:=quad"),
            ("superpoint_node", "max_keypoints:=0"),
            ("superglue_node", "match_threshold:=high"),
            ("superglue_node", "weights:=missing.pth"),
        )
    }
    ended = {argument: (process.wait(), process.output) for argument, process in processes.items()}
    for process in processes.values():
        process.close()
    return ended


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("mode:=quad", ("mode", "mono, stereo", "quad")),
        ("max_keypoints:=0", ("max_keypoints", "1 to 16384")),
        ("match_threshold:=high", ("match_threshold", "high")),
        ("weights:=missing.pth", ("missing.pth",)),
    ],
)
def test_an_unusable_value_ends_the_process_with_one_line_and_status_2(
    refused_starts: dict[str, tuple[int, str]], argument: str, named: tuple[str, ...]
) -> None:
    status, output = refused_starts[argument]
    assert status == 2, output
    (line,) = output.splitlines()
    for words in named:
        assert words in line
