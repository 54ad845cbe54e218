"""What the nodes with networks have in common: loading, a device that may fail, its memory."""

from __future__ import annotations

from typing import TypeVar

from superglue_ros.config import NetworkNodeConfig
from superglue_ros.drops import Drop
from superglue_ros.errors import DeviceError
from superglue_ros.inference.device import allocated_mebibytes, release_memory, select_device
from superglue_ros.nodes.configured_node import WARNING_PERIOD_SEC
from superglue_ros.nodes.frame_node import FrameNode

Config = TypeVar("Config", bound=NetworkNodeConfig)


class NetworkNode(FrameNode[Config]):
    """A node whose frames go through networks.

    A subclass says beside what every node says which networks there are, and how it works with
    fewer keypoints.
    """

    def load_networks(self) -> None:
        """Load and warm the networks; may raise InputError or DeviceError."""
        raise NotImplementedError

    def release_networks(self) -> None:
        """Let go of the networks and what was computed with them."""
        raise NotImplementedError

    def networks(self) -> dict[str, tuple[str, str]]:
        """For each network that is loaded its weights and their licence."""
        raise NotImplementedError

    def halve_keypoints(self) -> int:
        """Work with half as many keypoints from now on; returns their number."""
        raise NotImplementedError

    def load(self) -> None:
        """Load the networks."""
        self.load_networks()

    def release(self) -> None:
        """Release the networks and their memory."""
        self.release_networks()
        release_memory(select_device(self.config.device))

    def facts(self) -> dict[str, str]:
        """Device, weights and licences."""
        device = select_device(self.config.device)
        facts = {"device": str(device), "device memory [MiB]": f"{allocated_mebibytes(device):.1f}"}
        for network, (weights, licence) in self.networks().items():
            facts |= {f"{network} weights": weights, f"{network} licence": licence}
        return facts

    def on_failure(self, error: Exception) -> Drop:
        """Go on after a frame failed, as `on_device_error` says; returns the reason."""
        if not isinstance(error, DeviceError):
            return super().on_failure(error)
        self.get_logger().error(str(error), throttle_duration_sec=WARNING_PERIOD_SEC)
        if self.config.on_device_error == "fewer_keypoints":
            self.get_logger().warning(f"going on with {self.halve_keypoints()} keypoints")
        elif self.config.on_device_error == "cpu":
            self.get_logger().warning("going on with the CPU")
            self.config = self.config.updated(device="cpu")
            self.release()
            self.load()
        return Drop.DEVICE_ERROR
