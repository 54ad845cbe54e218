"""What the nodes that match have in common: outputs, modes and services."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.publisher import Publisher
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from superglue_ros.config import MatchingNodeConfig, Settings
from superglue_ros.errors import DeviceError, InputError
from superglue_ros.image_decoding import image_decoder
from superglue_ros.inference import Extractor, Matcher, registry
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.nodes.matching import Matching
from superglue_ros.nodes.network_node import NetworkNode
from superglue_ros.nodes.networks import check_choice
from superglue_ros.srv import MatchImages, SetTemplate

Config = TypeVar("Config", bound=MatchingNodeConfig)


class MatchingNode(NetworkNode[Config]):
    """A node that publishes matches.

    A subclass says how its settings configure the networks, and gives the features of each frame to
    `match_and_publish`.
    """

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters and offer the services; see `FrameNode`."""
        super().__init__(**node_options)
        self._matcher: Matcher | None = None
        self._extractor: Extractor | None = None
        self._matching: Matching | None = None
        self._matches_output: Publisher | None = None
        self._assignment_output: Publisher | None = None
        self._decoder = image_decoder()
        # A group of their own: an answer that is awaited holds up the other callbacks of its group.
        group = MutuallyExclusiveCallbackGroup()
        for service_type, name, callback in (
            (Trigger, "~/renew_keyframe", self._on_renew_keyframe),
            (SetTemplate, "~/set_template", self._on_set_template),
            (MatchImages, "~/match_images", self._on_match_images),
        ):
            self.create_service(service_type, name, callback, callback_group=group)

    def extractor_config(self) -> Settings:
        """How the extractor is to be set up."""
        raise NotImplementedError

    def matcher_config(self) -> Settings:
        """How the matcher is to be set up."""
        raise NotImplementedError

    @property
    def matcher(self) -> Matcher:
        """The matcher of a configured node."""
        assert self._matcher is not None
        return self._matcher

    @property
    def matching(self) -> Matching:
        """What matches the frames of a configured node."""
        assert self._matching is not None
        return self._matching

    @property
    def extractor(self) -> Extractor:
        """The extractor, loaded when it is first asked for."""
        if self._extractor is None:
            extractor = registry.make_extractor(self.extractor_config())
            registry.check_weights(extractor, self.matcher)
            extractor.warm_up()
            self._extractor = extractor
            self.get_logger().info(
                f"{self._extractor.name} on {self._extractor.device} by {self._extractor.engine}"
            )
        return self._extractor

    def load_networks(self) -> None:
        """Load the matcher, and the reference images of mode template."""
        check_choice(self.config)
        self._matcher = registry.make_matcher(self.matcher_config())
        self._matcher.warm_up()
        self.get_logger().info(
            f"{self._matcher.name} on {self._matcher.device} by {self._matcher.engine}"
        )
        self._matching = Matching(
            self.config, self._matcher, self.stopwatch, self.get_logger().warning
        )
        if self.config.any_rotation and self.config.mode != "template":
            self.get_logger().info(
                f"any_rotation is for match_images here: frames of mode {self.config.mode} are "
                "matched as they are"
            )
        if self.config.mode == "template" and self.config.template_folder:
            self._matching.add_template_folder(self.config.template_folder, self.extractor)

    def release_networks(self) -> None:
        """Let go of the networks, the earlier frames and the reference images."""
        self._matcher = self._extractor = self._matching = None

    def networks(self) -> dict[str, tuple[str, str]]:
        """For each network that is loaded its weights and their licence."""
        loaded = {
            registry.EXTRACTORS[self.config.extractor].title: self._extractor,
            registry.MATCHERS[self.config.matcher].title: self._matcher,
        }
        return {name: (one.name, one.licence) for name, one in loaded.items() if one is not None}

    def create_outputs(self) -> None:
        """Create the publishers."""
        self._matches_output = self.add_output(MatchesMessage, "matches")
        self._assignment_output = (
            self.add_output(AssignmentMatrixMessage, "assignment_matrix")
            if self.config.publish_assignment_matrix
            else None
        )

    def apply_settings(self) -> None:
        """Take over live settings that have changed, with the next frame."""
        if self._matcher is not None and self._matching is not None:
            self._matcher.config = self.matcher_config()
            self._matching.keyframe.config = self.config
        if self._extractor is not None:
            self._extractor.config = self.extractor_config()

    def match_and_publish(
        self, headers: Sequence[Header], tensors: Sequence[FeatureTensors]
    ) -> None:
        """Match the features of one frame as the mode says, and publish the results."""
        assert self._matches_output is not None
        for result in self.matching.frame(headers, tensors):
            with self.stopwatch.stage("publish"):
                self._matches_output.publish(result.matches)
                if self._assignment_output is not None and result.assignment is not None:
                    self._assignment_output.publish(result.assignment)

    def _on_renew_keyframe(self, request: Any, response: Any) -> Any:
        response.success = self._matching is not None and self.config.mode == "keyframe"
        if response.success and self._matching is not None:
            self._matching.keyframe.renew()
            response.message = "the next frame becomes the keyframe"
        else:
            response.message = f"there are no keyframes in mode {self.config.mode}"
        return response

    async def _on_set_template(self, request: Any, response: Any) -> Any:
        def set_template() -> None:
            assert self._matching is not None
            if self.config.mode != "template":
                raise InputError(f"there are no templates in mode {self.config.mode}")
            image = self._decoder.decode(request.image)
            if request.replace:
                self._matching.templates.clear()
            self._matching.add_template(request.image.header, image, self.extractor)
            response.count = len(self._matching.templates)

        return await self._answer(set_template, response)

    async def _on_match_images(self, request: Any, response: Any) -> Any:
        def match_images() -> None:
            assert self._matching is not None
            messages = (request.image0, request.image1)
            images = [self._decoder.decode(message) for message in messages]
            headers = [message.header for message in messages]
            response.matches = self._matching.once(headers, images, self.extractor)

        return await self._answer(match_images, response)

    async def _answer(self, job: Callable[[], None], response: Any) -> Any:
        """Run a service's job between two frames; the executor goes on meanwhile."""
        done: Future[None] = Future(executor=self.executor)
        done.add_done_callback(lambda _: None)  # to have a callback wakes the executor

        def run() -> None:
            try:
                job()
                response.success = True
            except (InputError, DeviceError) as error:
                response.message = str(error)
            except Exception:  # a defect of ours must not end the thread or hang the caller
                self.get_logger().error(traceback.format_exc())
                response.message = "internal error; the node's log has it"
            done.set_result(None)

        if self.run_between_frames(run):
            await done
        else:
            response.message = "the node is not active"
        return response
