"""Layouts for Foxglove and Lichtblick, its open fork."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from superglue_ros.config import MatchVisualizerNodeConfig, OdometryNodeConfig
from superglue_ros.errors import InputError

Panel = dict[str, Any]
Layout = dict[str, Any]

MODES = ("mono", "stereo", "odometry", "stereo_odometry")

_MATCHERS = ("superpoint_node", "superglue_node", "pipeline_node", "geometry_node")
_NODES = {
    "mono": _MATCHERS,
    "stereo": _MATCHERS,
    "odometry": ("pipeline_node", "geometry_node", "visual_odometry_node"),
    "stereo_odometry": (
        *("superpoint_node", "stereo_superglue", "stereo_geometry"),
        *("superglue_node", "geometry_node", "visual_odometry_node"),
    ),
}
_COLOURS = ("#56b4e9", "#d55e00", "#009e73", "#f0e442", "#cc79a7", "#e69f00")
"""Of Okabe and Ito's set, told apart by colour-blind eyes."""

_SCENE = {"transforms": {"enablePreloading": True, "labelSize": 0.08}}
"""Frames are known after a seek too, also those that are told once."""

_NAMESPACE = re.compile(r"(/[A-Za-z_]\w*)*")


def foxglove_layout(
    namespace: str = "", mode: str = "mono", frame: str = "", *, live: bool = True
) -> str:
    """A layout: matches, keypoints with where they come from, points and path, plots, nodes.

    Args:
        namespace: Of the nodes; "" or "/" for none.
        mode: One of MODES: one camera or a stereo pair, without and with odometry.
        frame: Fixed frame of the 3D view; where empty by default that of the odometry, and without
            odometry the upright one of the camera.
        live: Whether nodes are there that tell their state and latency, as in a recording of them.

    Returns:
        JSON, to be imported as a layout.

    Raises:
        InputError: The namespace is not one of ROS, or there is no such mode.
    """
    prefix = "/".join(["", *filter(None, namespace.split("/"))])
    if not _NAMESPACE.fullmatch(prefix):
        raise InputError(f"{namespace!r} is no namespace of ROS; one looks like /robot/front")
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    panels = {
        "Image!matches": _image("Matches", f"{prefix}/match_image/compressed"),
        "Image!keypoints": _image(
            "Keypoints (dots), and lines from where they were",
            f"{prefix}/marker_image/compressed",
            (f"{prefix}/image_markers", f"{prefix}/keypoint_markers"),
        ),
        "3D!points": _points(prefix, frame or _fixed_frame(mode), mode),
        **_statistics(f"{prefix}/match_statistics"),
        **(_nodes(prefix, _NODES[mode]) if live else {}),
    }
    images = _row("Image!keypoints", "3D!points")
    numbers = _split("column", 50, "Plot!matches", "Plot!confidence")
    nodes = _split("column", 50, "Plot!latency", "Plot!rate")
    below = _row(numbers, nodes, "DiagnosticSummary!nodes") if live else numbers
    layout = {
        "configById": panels,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": _split("column", 34, "Image!matches", _split("column", 50, images, below)),
    }
    return json.dumps(layout, indent=1) + "\n"


def _fixed_frame(mode: str) -> str:
    if mode.endswith("odometry"):
        return OdometryNodeConfig().odom_frame
    return MatchVisualizerNodeConfig().upright_frame


def _titled(title: str, **settings: Any) -> Panel:
    return {"foxglovePanelTitle": title, "lichtblickPanelTitle": title, **settings}


def _image(title: str, topic: str, annotations: Sequence[str] = ()) -> Panel:
    # Synchronized: an image is shown with the marks of its stamp, in playback and after a seek too
    shown = {name: {"visible": True} for name in annotations}
    mode = {"imageTopic": topic, "synchronize": bool(annotations), "annotations": shown}
    return _titled(title, imageMode=mode, scene=_SCENE)


def _points(prefix: str, frame: str, mode: str) -> Panel:
    grid = {
        "layerId": "foxglove.Grid",
        "instanceId": "grid",
        "label": "Grid",
        "visible": True,
        "size": 20,
        "divisions": 20,
        "lineWidth": 1,
        "color": "#248eff55",
        "position": [0, 0, 0],
        "rotation": [0, 0, 0],
        "frameLocked": True,
    }
    has_path = mode.endswith("odometry")
    camera = {  # from behind and above, along x
        "distance": 9 if has_path else 4,
        "perspective": True,
        "phi": 70,
        "thetaOffset": 90,
        "target": [2, 0, 0],
        "targetOffset": [0, 0, 0],
        "targetOrientation": [0, 0, 0, 1],
        "fovy": 45,
        "near": 0.01,
        "far": 5000,
    }
    return _titled(
        "Points and path" if has_path else "Points",
        cameraState=camera,
        followMode="follow-none",
        followTf=frame,
        topics={f"{prefix}/{name}": {"visible": True} for name in ("markers", "path")},
        layers={"grid": grid},
        scene=_SCENE,
    )


def _statistics(topic: str) -> dict[str, Panel]:
    return {
        "Plot!matches": _plot(
            "Matches, and those that agree with a geometry",
            {"matches": f"{topic}.matches", "inliers": f"{topic}.inliers"},
        ),
        "Plot!confidence": _plot(
            "Median confidence, refined share",
            {
                "median confidence": f"{topic}.median_confidence",
                "refined share": f"{topic}.refined_share",
            },
            maxYValue=1,
        ),
    }


def _nodes(prefix: str, nodes: Sequence[str]) -> dict[str, Panel]:
    def values(key: str) -> dict[str, str]:
        return {
            node: f'/diagnostics.status[:]{{name=="{_status_name(prefix, node)}"}}'
            f'.values[:]{{key=="{key}"}}.value'
            for node in nodes
        }

    return {
        "Plot!latency": _plot("Median latency, ms", values("total p50 [ms]")),
        "Plot!rate": _plot("Frames a second", values("frames rate [Hz]")),
        "DiagnosticSummary!nodes": _titled(
            "Nodes",
            minLevel=0,
            pinnedIds=[],
            hardwareIdFilter="",
            topicToRender="/diagnostics",
            sortByLevel=True,
        ),
    }


def _status_name(prefix: str, node: str) -> str:
    """As the nodes name themselves in /diagnostics."""
    return f"{prefix}/{node}: frames" if prefix else f"{node}: frames"


def _plot(title: str, values: Mapping[str, str], **settings: Any) -> Panel:
    paths = [
        {
            "value": value,
            "label": label,
            "color": colour,
            "enabled": True,
            "timestampMethod": "receiveTime",
            "showLine": True,
        }
        for (label, value), colour in zip(values.items(), _COLOURS, strict=False)
    ]
    return _titled(
        title,
        paths=paths,
        showLegend=True,
        legendDisplay="left",
        xAxisVal="timestamp",
        showXAxisLabels=True,
        showYAxisLabels=True,
        isSynced=True,
        sidebarDimension=190,
        minYValue=0,
        **settings,
    )


def _row(*panels: Any) -> Any:
    """Panels side by side, each of the same width."""
    if len(panels) == 1:
        return panels[0]
    return _split("row", 100 / len(panels), panels[0], _row(*panels[1:]))


def _split(direction: str, percentage: float, first: Any, second: Any) -> Layout:
    return {
        "direction": direction,
        "splitPercentage": percentage,
        "first": first,
        "second": second,
    }
