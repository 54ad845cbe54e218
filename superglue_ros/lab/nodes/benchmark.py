"""What the nodes take beside the networks: latency, the executor's time, bytes on the wire.

The nodes run as processes of their own, as they do on a robot, and a stereo pair is sent when the
one before is answered. `benchmark_client` sends it, `benchmark_messages` times what is done to
messages in one process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from superglue_ros.features import GreyImage
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.benchmark.results import NodeRow, Results, describe_machine
from superglue_ros.lab.benchmark.run import OnProgress, stereo_images
from superglue_ros.lab.demo.processes import NodeCommand, NodeProcesses
from superglue_ros.lab.nodes.benchmark_client import NAMESPACE, Client
from superglue_ros.lab.nodes.benchmark_messages import measure_images, measure_messages
from superglue_ros.lab.nodes.playback import ros_session

ARRANGEMENTS = {
    "pipeline_node": ("pipeline_node",),
    "superpoint_node + superglue_node": ("superpoint_node", "superglue_node"),
}

_MESSAGE_REPEATS = 200


def run(plan: Plan, results: Results, on_progress: OnProgress = lambda *_: None) -> None:
    """Measure messages of each size and count, and nodes under every combination of a plan.

    Args:
        plan: What to measure.
        results: Is filled; what it holds when this is interrupted is whole as far as it goes.
        on_progress: Called before each start of nodes and after each frame.

    Raises:
        NodeError: A node ended, or did not answer.
        InputError: A node's executable is not there.
    """
    results.machine = describe_machine()
    for size in plan.sizes:
        results.stages += measure_images(stereo_images(size)[0], _MESSAGE_REPEATS)
    for count in plan.keypoints:
        results.stages += measure_messages(count, _MESSAGE_REPEATS)
    combinations = list(
        product(
            plan.sizes, plan.keypoints, plan.devices, plan.engines, plan.precisions, ARRANGEMENTS
        )
    )
    for index, (size, count, device, engine, precision, name) in enumerate(combinations):

        def on_frame(frames: int, index: int = index, name: str = name) -> None:
            on_progress(name, (index + frames / plan.repeats) / len(combinations))

        parameters: dict[str, Any] = {"max_keypoints": count, "device": device}
        parameters |= {"engine": engine, "precision": precision}
        images = stereo_images(size)
        results.nodes.append(measure_nodes(name, images, parameters, plan.repeats, on_frame))


def measure_nodes(
    name: str,
    images: Sequence[GreyImage],
    parameters: Mapping[str, Any],
    frames: int,
    on_frame: Callable[[int], None],
) -> NodeRow:
    """Time a stereo pair through one of `ARRANGEMENTS`.

    Args:
        name: Which of them.
        images: Left and right, (H, W) uint8.
        parameters: Of all its nodes, as far as they have them.
        frames: How many pairs are timed.
        on_frame: Called with the pairs that are done, 0 before the start.

    Raises:
        NodeError: A node ended, or did not answer.
        InputError: A node's executable is not there.
    """
    on_frame(0)
    commands = [
        NodeCommand(
            one, NAMESPACE, {**parameters, "mode": "stereo", "qos": "reliable", "resize": 0}
        )
        for one in ARRANGEMENTS[name]
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        ros_session(),
        NodeProcesses(commands, Path(folder)) as processes,
    ):
        client = Client(images, processes, ARRANGEMENTS[name])
        try:
            client.connect()
            measured = client.measure(frames, on_frame)
        finally:
            client.close()
    return NodeRow(
        name=name,
        width=images[0].shape[1],
        height=images[0].shape[0],
        keypoints=parameters["max_keypoints"],
        device=parameters["device"],
        engine=parameters["engine"],
        precision=parameters["precision"],
        **measured,
    )
