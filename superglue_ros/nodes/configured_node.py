"""What the nodes have in common before there is work: parameters, life cycle, outputs."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher

from superglue_ros.config import NodeConfig
from superglue_ros.nodes.parameters import (
    changed_config,
    declare_parameters,
    parameters_as_meant,
    read_parameters,
)
from superglue_ros.nodes.qos import NO_PUBLISHER_EVENTS, output_qos
from superglue_ros.nodes.transitions import logged
from superglue_ros.nodes.unknown_parameters import unknown_parameters

Config = TypeVar("Config", bound=NodeConfig)

WARNING_PERIOD_SEC = 5.0


class ConfiguredNode(LifecycleNode, Generic[Config]):
    """A lifecycle node with the parameters of a configuration.

    Attributes:
        config: The settings that are in force.
        failure: Why the last transition failed; empty where it did not.
    """

    node_name: str
    config_type: type[Config]

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters.

        Raises:
            InputError: A parameter has the wrong type or is out of range.
        """
        super().__init__(self.node_name, **node_options)
        declare_parameters(self, self.config_type)
        self.config: Config = read_parameters(self, self.config_type)
        for line in unknown_parameters(self):
            self.get_logger().warning(line)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._outputs: list[Publisher] = []
        self._configured = False
        self.failure = ""

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one, in whichever of its types ROS has read a value."""
        results: list[SetParametersResult] = super().set_parameters(
            parameters_as_meant(self.config_type, parameter_list)
        )
        return results

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, all or none, in whichever of its types ROS has read a value."""
        return super().set_parameters_atomically(
            parameters_as_meant(self.config_type, parameter_list)
        )

    # What a subclass provides

    def load(self) -> None:
        """Prepare what the node works with; may raise InputError or DeviceError."""

    def release(self) -> None:
        """Let go of what was prepared, and of what is left of the work."""

    def create_outputs(self) -> None:
        """Create the publishers of the results with `add_output`."""
        raise NotImplementedError

    def apply_settings(self) -> None:
        """Take over live settings of `config` that have changed."""
        raise NotImplementedError

    # What a subclass uses

    def warn(self, text: str) -> None:
        """Warn of bad input, at most once in a few seconds."""
        self.get_logger().warning(text, throttle_duration_sec=WARNING_PERIOD_SEC)

    def add_output(self, message_type: type, topic: str) -> Publisher:
        """A publisher of results."""
        publisher = self.create_lifecycle_publisher(
            message_type, topic, output_qos(self.config), event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._outputs.append(publisher)
        return publisher

    # Life cycle

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load what is needed, with the parameters as they are now."""
        self.config = read_parameters(self, self.config_type)
        self.load()
        self.create_outputs()
        self._configured = True
        return TransitionCallbackReturn.SUCCESS

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release what was loaded."""
        self._configured = False
        for output in self._outputs:
            self.destroy_lifecycle_publisher(output)
        self._outputs = []
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        config, result = changed_config(self.config, parameters, running=self._configured)
        if result.successful and config is not self.config:
            self.config = config
            if self._configured:
                self.apply_settings()
        return result
