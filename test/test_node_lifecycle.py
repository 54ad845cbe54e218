"""Life cycle of the nodes: managed by services, ended by signals, several side by side."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from ros_helpers import (
    TIMEOUT_SEC,
    NodeProcess,
    Ros,
    executable_path,
    header,
    image_message,
    ros_context,
    small_image,
    wait_until,
)
from sensor_msgs.msg import Image
from superglue_ros.msg import Features as FeaturesMessage

from superglue_ros.nodes.superglue_node import SuperGlueNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

END_SEC = 20.0

ros = pytest.fixture(ros_context, scope="module")


class Managed:
    """A superpoint_node that is led through its life cycle by its services."""

    def __init__(self, ros: Ros, name: str) -> None:
        self._ros = ros
        self._name = name
        under = name.rpartition("/")[0]
        self.images = ros.publisher(Image, f"{under}/image")
        self.features = ros.collector(FeaturesMessage, f"{under}/features")
        self._seconds = itertools.count(1)

    @property
    def state(self) -> str:
        answer = self._ros.call(GetState, f"{self._name}/get_state", GetState.Request())
        return answer.current_state.label

    def change(self, transition: int) -> bool:
        return self._ros.change_state(self._name, transition)

    def configure(self) -> bool:
        return self.change(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        return self.change(Transition.TRANSITION_ACTIVATE)

    def deactivate(self) -> bool:
        return self.change(Transition.TRANSITION_DEACTIVATE)

    def clean_up(self) -> bool:
        return self.change(Transition.TRANSITION_CLEANUP)

    def is_held_up(self) -> bool:
        """Whether it does not answer a service at once, as while it waits for room."""
        client = self._ros.node.create_client(GetState, f"{self._name}/get_state")
        answered = threading.Event()
        assert client.wait_for_service(TIMEOUT_SEC)
        client.call_async(GetState.Request()).add_done_callback(lambda _: answered.set())
        return not answered.wait(0.5)

    def assert_works(self) -> None:
        """Features come to an image, which is sent until both ends have found each other."""
        wait_until(self._answers, "features of an image")

    def assert_does_not_listen(self) -> None:
        wait_until(lambda: self.images.get_subscription_count() == 0, "end of the subscription")

    def _answers(self) -> bool:
        second = next(self._seconds)
        self.images.publish(image_message(small_image(), header(second)))
        return self.features.find(second, timeout_sec=0.3) is not None


@pytest.fixture(scope="module")
def processes(ros: Ros) -> dict[str, NodeProcess]:
    """Nodes in processes of their own, by namespace; all start at once."""
    few = {"max_keypoints": 16, "device": "cpu"}
    return {
        "managed": ros.run("superpoint_node", under="managed", autostart=False, **few),
        "flow": ros.run("superpoint_node", under="flow", **few),
        "busy": ros.run(
            "superpoint_node",
            under="busy",
            resize=0,
            process_every_frame=True,
            qos="reliable",
            **few,
        ),
    }


def test_without_autostart_a_node_is_led_by_its_life_cycle_services(
    ros: Ros, processes: dict[str, NodeProcess]
) -> None:
    node = Managed(ros, "managed/superpoint_node")
    assert node.state == "unconfigured"
    node.assert_does_not_listen()

    assert node.configure()
    assert node.state == "inactive"
    node.assert_does_not_listen()

    assert node.activate()
    assert node.state == "active"
    node.assert_works()

    assert node.deactivate()
    assert node.state == "inactive"
    node.assert_does_not_listen()

    assert node.activate()
    node.assert_works()

    assert node.deactivate()
    assert node.clean_up()
    assert node.state == "unconfigured"
    topic = f"{ros.namespace}/managed/features"
    wait_until(lambda: ros.node.count_publishers(topic) == 0, "end of the publisher")

    assert node.configure()
    assert node.activate()
    node.assert_works()

    assert node.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert node.state == "finalized"
    node.assert_does_not_listen()


def assert_ends(process: NodeProcess, with_signal: signal.Signals) -> None:
    status = process.end(with_signal, timeout_sec=END_SEC)
    assert status == 0, process.output
    assert "Traceback" not in process.output


def test_a_finalized_node_ends_on_sigterm(processes: dict[str, NodeProcess]) -> None:
    assert_ends(processes["managed"], signal.SIGTERM)


def test_a_node_ends_on_sigterm_while_frames_come(
    ros: Ros, processes: dict[str, NodeProcess]
) -> None:
    node = Managed(ros, "flow/superpoint_node")
    node.assert_works()
    for second in range(1000, 1030):
        node.images.publish(image_message(small_image(width=160, height=120), header(second)))
    assert_ends(processes["flow"], signal.SIGTERM)


def test_a_node_ends_on_ctrl_c_while_long_frames_wait_for_one_in_work(
    ros: Ros, processes: dict[str, NodeProcess]
) -> None:
    node = Managed(ros, "busy/superpoint_node")
    node.assert_works()
    large = np.tile(small_image(), (30, 30))  # many seconds of work
    for second in range(1000, 1004):
        node.images.publish(image_message(large, header(second)))
    wait_until(node.is_held_up, "a frame that waits for room")
    assert_ends(processes["busy"], signal.SIGINT)


def test_a_node_ends_on_ctrl_c_while_it_starts(ros: Ros) -> None:
    process = ros.run("superglue_node", under="start", device="cpu")
    name = ("superglue_node", f"{ros.namespace}/start")
    wait_until(lambda: name in ros.node.get_node_names_and_namespaces(), "the node in the graph")
    assert_ends(process, signal.SIGINT)


def test_a_node_that_cannot_be_configured_stays_unconfigured_and_can_be_mended(ros: Ros) -> None:
    ros.start(SuperPointNode, under="mended", active=False, weights="missing.pth", device="cpu")
    node = Managed(ros, "mended/superpoint_node")
    assert not node.configure()
    assert node.state == "unconfigured"
    assert ros.set_parameters("mended/superpoint_node", weights="superpoint").successful
    assert node.configure()
    assert node.activate()
    node.assert_works()


def test_a_cleaned_up_node_takes_its_new_parameters(ros: Ros) -> None:
    ros.start(SuperPointNode, under="changed", max_keypoints=9, device="cpu")
    node = Managed(ros, "changed/superpoint_node")
    node.assert_works()
    assert node.deactivate()
    assert node.clean_up()
    assert ros.set_parameters("changed/superpoint_node", publish_descriptors=False).successful
    assert node.configure()
    assert node.activate()
    node.assert_works()
    last = node.features.messages[-1]
    assert (len(last.keypoints), len(last.descriptors)) == (3 * 9, 0)


def test_instances_in_two_namespaces_live_side_by_side(ros: Ros) -> None:
    counts = {"front": 5, "rear": 8}
    nodes = {name: Managed(ros, f"{name}/superpoint_node") for name in counts}
    for name, count in counts.items():
        ros.start(SuperPointNode, under=name, max_keypoints=count, device="cpu")
        ros.start(SuperGlueNode, under=name, device="cpu")
    for node in nodes.values():
        node.assert_works()
    assert nodes["front"].deactivate()
    nodes["rear"].assert_works()
    for name, node in nodes.items():
        found = {len(message.keypoints) // 3 for message in node.features.messages}
        assert found == {counts[name]}


def test_help_whose_reader_has_gone_ends_quietly() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [executable_path("geometry_node"), "--help"]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("executable", "arguments"),
    [("geometry_node", ["--help"]), ("superglue-ros", ["bag", "--help"])],
)
def test_a_package_that_is_not_installed_is_told_in_one_line(
    tmp_path: Path, executable: str, arguments: list[str]
) -> None:
    missing = "rich" if executable == "superglue-ros" else "poselib"
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [executable_path(executable), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{executable}: error: no Python module {missing} here: pip install")
