"""Settings: checked values, and one place for defaults, ranges and descriptions."""

from __future__ import annotations

import dataclasses
import math

import pytest

from superglue_ros import config as config_module
from superglue_ros.config import (
    Setting,
    Settings,
    SuperGlueConfig,
    SuperGlueNodeConfig,
    SuperPointConfig,
    SuperPointNodeConfig,
)
from superglue_ros.errors import InputError

CONFIGS = [
    value
    for value in vars(config_module).values()
    if isinstance(value, type) and issubclass(value, Settings) and value is not Settings
]
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)


@every_config
def test_every_setting_has_a_description_and_a_default_it_accepts(config: type[Settings]) -> None:
    for setting in config.describe():
        assert setting.description.endswith(".")
        assert setting.check(setting.default) == setting.default
        assert getattr(config(), setting.name) == setting.default


@every_config
def test_numbers_are_bounded_on_both_sides(config: type[Settings]) -> None:
    """A ROS parameter's range needs both ends."""
    for setting in config.describe():
        if type(setting.default) in (int, float):
            assert setting.minimum is not None, setting.name
            assert setting.maximum is not None, setting.name


@every_config
def test_values_beyond_the_range_are_refused_with_the_range(config: type[Settings]) -> None:
    for setting in config.describe():
        kind = type(setting.default)
        beyond: list[object] = ["no such word"] if setting.choices else []
        if setting.minimum is not None and setting.maximum is not None:
            beyond += [kind(setting.minimum - 1), kind(setting.maximum + 1)]
        for value in beyond:
            with pytest.raises(InputError) as caught:
                config(**{setting.name: value})
            for part in (setting.name, setting.range_text, repr(value)):
                assert part in str(caught.value)


@every_config
def test_the_ends_of_a_range_are_accepted(config: type[Settings]) -> None:
    for setting in config.describe():
        for end in (setting.minimum, setting.maximum):
            if end is not None:
                value = type(setting.default)(end)
                assert getattr(config(**{setting.name: value}), setting.name) == value


def test_defaults_are_those_of_the_papers() -> None:
    superpoint, superglue = SuperPointConfig(), SuperGlueConfig()
    assert (superpoint.keypoint_threshold, superpoint.nms_radius) == (0.005, 4)
    assert (superglue.match_threshold, superglue.sinkhorn_iterations) == (0.2, 100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_keypoints", "512"),
        ("max_keypoints", 512.0),
        ("max_keypoints", True),
        ("keypoint_threshold", "0.1"),
        ("keypoint_threshold", math.nan),
        ("keypoint_threshold", True),
        ("weights", 3),
        ("device", None),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        SuperPointConfig(**{name: value})


def test_a_number_is_not_taken_for_a_switch() -> None:
    with pytest.raises(InputError, match="publish_descriptors must be of type bool"):
        SuperPointNodeConfig(publish_descriptors=1)


def test_an_integer_is_taken_for_a_float_setting() -> None:
    threshold = SuperPointConfig(keypoint_threshold=1).keypoint_threshold
    assert threshold == 1.0
    assert isinstance(threshold, float)


def test_an_unknown_setting_is_refused_with_the_known_names() -> None:
    with pytest.raises(InputError) as caught:
        SuperPointConfig().updated(max_keypoint=10)
    assert "'max_keypoint'" in str(caught.value)
    assert "max_keypoints" in str(caught.value)


def test_updating_gives_a_copy_with_the_changes_and_leaves_the_rest() -> None:
    before = SuperPointConfig(nms_radius=3)
    after = before.updated(max_keypoints=10)
    assert (after.max_keypoints, after.nms_radius) == (10, 3)
    assert before == SuperPointConfig(nms_radius=3)
    assert type(after) is SuperPointConfig


def test_updating_with_one_bad_value_raises() -> None:
    with pytest.raises(InputError, match="nms_radius"):
        SuperPointConfig().updated(max_keypoints=10, nms_radius=-1)


def test_configurations_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SuperPointConfig().max_keypoints = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("node", "component"),
    [(SuperPointNodeConfig, SuperPointConfig), (SuperGlueNodeConfig, SuperGlueConfig)],
)
def test_a_node_takes_the_settings_of_its_component_as_they_are(
    node: type[Settings], component: type[Settings]
) -> None:
    assert set(component.describe()) <= set(node.describe())


def test_the_parameters_that_others_rely_on_keep_their_names() -> None:
    both = {"mode", "weights", "device", "exact_sync", "sync_slop_sec", "sync_queue_size"}
    both |= {"qos", "process_every_frame"}
    superpoint = {s.name for s in SuperPointNodeConfig.describe()}
    superglue = {s.name for s in SuperGlueNodeConfig.describe()}
    extraction = {"max_keypoints", "keypoint_threshold", "nms_radius", "resize"}
    assert both | extraction | {"publish_descriptors"} <= superpoint
    matching = {"match_threshold", "sinkhorn_iterations", "publish_assignment_matrix"}
    assert both | matching <= superglue


def test_a_range_in_words() -> None:
    def text(**known: object) -> str:
        return Setting("name", 1.0, "Described.", **known).range_text  # type: ignore[arg-type]

    assert text(minimum=0.0, maximum=2.5) == "0 to 2.5"
    assert text(choices=("a", "b")) == "a, b"
    assert text() == ""
