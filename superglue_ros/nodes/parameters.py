"""ROS parameters made from the configuration dataclasses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from superglue_ros.config import Setting, Settings, Value
from superglue_ros.errors import InputError

Config = TypeVar("Config", bound=Settings)


def declare_parameters(node: Node, config_type: type[Settings]) -> None:
    """Declare a parameter for each setting, with its range and description.

    Raises:
        InputError: A value given at the start has the wrong type or is out of range.
    """
    given: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})
    for setting in config_type.describe():
        value = given[setting.name].value if setting.name in given else setting.default
        try:
            node.declare_parameter(
                setting.name, as_meant(setting, value), _descriptor(setting), ignore_override=True
            )
        except ParameterException as error:
            raise InputError(f"parameter {setting.name} ({_expected(setting)}): {error}") from error


def as_meant(setting: Setting, value: Any) -> Any:
    """A value in the setting's type, where ROS has read it as one of another type.

    For ROS `1` is a whole number, also where 1.0 is meant, and the words `on` and `off` are
    booleans. What cannot be meant is returned as it is, for whoever refuses it.
    """
    if isinstance(value, bool):
        word = "on" if value else "off"
        return word if word in setting.choices else value
    if isinstance(value, int) and isinstance(setting.default, float):
        return float(value)
    return value


def parameters_as_meant(
    config_type: type[Settings], parameters: Iterable[Parameter]
) -> list[Parameter]:
    """Parameters that somebody sets, with values as `as_meant` has them."""
    settings = {setting.name: setting for setting in config_type.describe()}
    return [
        Parameter(one.name, value=as_meant(settings[one.name], one.value))
        if one.name in settings
        else one
        for one in parameters
    ]


def read_parameters(node: Node, config_type: type[Config]) -> Config:
    """The configuration that the node's parameters hold.

    Raises:
        InputError: A value is out of range.
    """
    values = {s.name: node.get_parameter(s.name).value for s in config_type.describe()}
    return config_type().updated(**values)


def changed_config(
    config: Config, parameters: list[Parameter], *, running: bool
) -> tuple[Config, SetParametersResult]:
    """Check a set of parameter changes as a whole.

    Args:
        config: The configuration now.
        parameters: The changes; those of other names than the settings' are let through.
        running: Whether the node has its networks loaded, so that only live settings may change.

    Returns:
        The new configuration and the answer to whoever asked; where they are refused, the old one.
    """
    settings = {setting.name: setting for setting in config.describe()}
    changes: dict[str, Value] = {p.name: p.value for p in parameters if p.name in settings}
    fixed = [name for name in changes if running and not settings[name].live]
    if fixed:
        reason = f"{', '.join(fixed)} can change only before the node is configured: clean it up"
        return config, SetParametersResult(successful=False, reason=reason)
    try:
        return config.updated(**changes), SetParametersResult(successful=True)
    except InputError as error:
        return config, SetParametersResult(successful=False, reason=str(error))


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=setting.description,
        additional_constraints=f"one of: {setting.range_text}" if setting.choices else "",
        read_only=False,
    )
    if setting.minimum is not None and setting.maximum is not None:
        if isinstance(setting.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(setting.minimum), to_value=int(setting.maximum))
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=setting.minimum, to_value=setting.maximum)
            ]
    return descriptor


def _expected(setting: Setting) -> str:
    kind = type(setting.default).__name__
    return f"{kind}, {setting.range_text}" if setting.range_text else kind
