"""What the launch files start, evaluated without ROS's launch, which the package registry lacks.

The names of `launch` and `launch_ros` that the files use are stood in for by the simplest that can
be; `test_launch_files.py` runs them by the real ones where these are installed.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
import yaml

pytest.importorskip("rclpy")

from superglue_ros.documentation import NODES
from superglue_ros.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path.name for path in (ROOT / "launch").glob("*.launch.py"))


class Action(SimpleNamespace):
    """An action of some kind, with what it was given."""


class Configuration(NamedTuple):
    name: str

    def perform(self, context: Any) -> str:
        return context.launch_configurations[self.name]


class Declared(Action):
    """An argument of a launch file."""

    def __init__(self, name: str, *, default_value: str, description: str) -> None:
        super().__init__(
            kind="argument", name=name, default_value=default_value, description=description
        )


def modules() -> dict[str, ModuleType]:
    """The stand-ins by name."""
    names: dict[str, dict[str, Any]] = {
        "launch": {"LaunchContext": object, "LaunchDescription": list},
        "launch.actions": {
            "DeclareLaunchArgument": Declared,
            "OpaqueFunction": lambda function: function,
            "SetEnvironmentVariable": lambda name, value: Action(kind="set", values=(name, value)),
        },
        "launch.logging": {"get_logger": lambda _: SimpleNamespace(warning=print)},
        "launch.substitutions": {"LaunchConfiguration": Configuration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": lambda **given: Action(kind="node", **given)},
    }
    made = {name: ModuleType(name) for name in names}
    for name, module in made.items():
        vars(module).update(names[name])
    return made


Evaluate = Callable[..., list[Action]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Evaluate]:
    """The actions of a launch file that is given some arguments."""
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("launch_files", "launch_arguments"):
        monkeypatch.delitem(sys.modules, f"superglue_ros.nodes.{name}", raising=False)

    def run(name: str, **given: str) -> list[Action]:
        path = ROOT / "launch" / name
        monkeypatch.setattr(sys, "argv", ["ros2", "launch", "superglue_ros", name])
        context = SimpleNamespace(
            launch_configurations=dict(given),
            argv=[f"{argument}:={value}" for argument, value in given.items()],
            environment={},
        )
        found: list[Action] = []
        for action in runpy.run_path(str(path))["generate_launch_description"]():
            if isinstance(action, Declared):
                context.launch_configurations.setdefault(action.name, action.default_value)
                found.append(action)
            else:
                found += action(context) or []
        return found

    yield run
    for name in ("launch_files", "launch_arguments"):
        sys.modules.pop(f"superglue_ros.nodes.{name}", None)


def nodes_of(actions: list[Action]) -> dict[str, Action]:
    return {one.name: one for one in actions if one.kind == "node"}


def values_of(node: Action) -> dict[str, Any]:
    """What the node's parameters come to, for files with sections for its name or for all."""
    values: dict[str, Any] = {}
    for one in node.parameters:
        if isinstance(one, dict):
            values |= one
            continue
        for section, content in yaml.safe_load(Path(one).read_text()).items():
            if section in ("/**", f"/**/{node.name}"):
                values |= content["ros__parameters"]
    return values


@pytest.mark.parametrize("name", FILES)
def test_each_node_is_one_of_ours_and_has_the_parameters_that_it_is_given(
    evaluate: Evaluate, name: str
) -> None:
    given = {} if name == "visualizer.launch.py" else {"rviz": "true", "device": "cpu"}
    nodes = nodes_of(evaluate(name, **given))
    assert nodes
    for node in nodes.values():
        config = NODES[node.executable.removesuffix("_node")]
        known = {setting.name: setting for setting in config.describe()}
        for parameter, value in values_of(node).items():
            assert known[parameter].check(value) == value


def test_the_users_file_is_over_the_shipped_one_and_under_the_mode(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {mode: sequential, max_keypoints: 99, device: cuda}}")
    nodes = nodes_of(evaluate("stereo.launch.py", params_file=str(own), device="cpu"))
    values = values_of(nodes["superpoint_node"])
    assert (values["mode"], values["max_keypoints"], values["device"]) == ("stereo", 99, "cpu")
    assert "autostart" not in values


@pytest.mark.parametrize(
    ("mode", "pictures"), [("", "mono"), ("keyframe", "mono"), ("stereo", "stereo")]
)
def test_the_pipelines_mode_is_that_of_all_its_nodes(
    evaluate: Evaluate, mode: str, pictures: str
) -> None:
    given = {"mode": mode, "geometry": "true", "rviz": "true"}
    nodes = nodes_of(evaluate("pipeline.launch.py", **given))
    for name in ("pipeline_node", "geometry_node"):
        assert values_of(nodes[name])["mode"] == (mode or "sequential")
    assert values_of(nodes["match_visualizer_node"])["mode"] == pictures


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lef_image": "x"}, "no launch argument lef_image; did you mean left_image"),
        ({"params_file": "mine.yaml"}, "params_file: no file mine.yaml"),
        ({"autostart": "perhaps"}, "autostart must be true or false, got 'perhaps'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    evaluate: Evaluate, given: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        evaluate("stereo.launch.py", **given)


def test_the_profile_is_set_before_the_nodes_are_started(evaluate: Evaluate) -> None:
    kinds = [one.kind for one in evaluate("stereo.launch.py", fastdds_profile="shipped")]
    assert kinds.index("set") < kinds.index("node")
