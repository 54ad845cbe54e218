"""From features to Matches messages, the same in every node that matches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from std_msgs.msg import Header

from superglue_ros.config import MatchingConfig
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.images import read_image
from superglue_ros.inference import MatchedImages, SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.nodes.conversions import assignment_to_message, matches_to_message
from superglue_ros.partners import Keyframe, Partners, PreviousFrame, Templates, View
from superglue_ros.synchroniser import NANOSECONDS
from superglue_ros.timing import Stopwatch

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm")


class Origin(NamedTuple):
    """Where a view comes from: the header of its image, and its features on the device."""

    header: Header
    tensors: FeatureTensors


class MatchResult(NamedTuple):
    """What there is to publish of one pair of images."""

    matches: MatchesMessage
    assignment: AssignmentMatrixMessage | None


class Matching:
    """Matches each frame to the partners that the mode gives it.

    Args:
        config: Mode, keyframes, templates.
        matcher: The matcher.
        stopwatch: For the stage "match".

    Attributes:
        keyframe: The partners of mode keyframe.
        templates: The partners of mode template.
    """

    def __init__(
        self, config: MatchingConfig, matcher: SuperGlueMatcher, stopwatch: Stopwatch
    ) -> None:
        """Start without earlier frames."""
        self.keyframe: Keyframe[Origin] = Keyframe(config)
        self.templates: Templates[Origin] = Templates()
        self._config = config
        self._matcher = matcher
        self._stopwatch = stopwatch
        partners: dict[str, Partners[Origin]] = {
            "sequential": PreviousFrame(),
            "keyframe": self.keyframe,
            "template": self.templates,
        }
        self._partners = partners.get(config.mode)

    def frame(
        self, headers: Sequence[Header], tensors: Sequence[FeatureTensors]
    ) -> list[MatchResult]:
        """Match the features of one frame: of one image, or of the left and the right one."""
        views = [_view(*pair) for pair in zip(headers, tensors, strict=True)]
        if self._partners is None:
            return [self.pair(*views)[1]]
        results = []
        for partner in self._partners.of(views[0]):
            matches, result = self.pair(partner, views[0])
            self._partners.matched(partner, views[0], matches)
            results.append(result)
        return results

    def pair(self, view0: View[Origin], view1: View[Origin]) -> tuple[Matches, MatchResult]:
        """Match two views."""
        with self._stopwatch.stage("match"):
            matches = self._matcher.match_tensors(
                view0.origin.tensors,
                view1.origin.tensors,
                with_assignment=self._config.publish_assignment_matrix,
            )
        return matches, self._result(view0, view1, matches)

    def matched(self, headers: Sequence[Header], found: MatchedImages) -> MatchResult:
        """What there is to publish of the left and the right image that were matched already."""
        view0, view1 = (_view(*pair) for pair in zip(headers, found[:2], strict=True))
        return self._result(view0, view1, found.matches)

    def _result(self, view0: View[Origin], view1: View[Origin], matches: Matches) -> MatchResult:
        headers = (view0.origin.header, view1.origin.header)
        message = matches_to_message(matches, (view0.features, view1.features), headers)
        assignment = matches.assignment
        return MatchResult(
            message, None if assignment is None else assignment_to_message(assignment, headers)
        )

    def once(self, headers: Sequence[Header], tensors: Sequence[FeatureTensors]) -> MatchesMessage:
        """Match the features of two images, apart from the sequence."""
        views = [_view(*pair) for pair in zip(headers, tensors, strict=True)]
        return self.pair(*views)[1].matches

    def add_template(
        self, header: Header, image: GreyImage, extractor: SuperPointExtractor
    ) -> None:
        """Store a reference image.

        Raises:
            InputError: It has no keypoints.
        """
        (tensors,) = extractor.extract_tensors([image])
        if not len(tensors):
            raise InputError(f"reference image {header.frame_id!r} has no keypoints: too plain?")
        self.templates.add(_view(header, tensors))

    def add_template_folder(self, folder: str, extractor: SuperPointExtractor) -> None:
        """Store the images of a folder, each under its file name as frame_id.

        Raises:
            InputError: The folder cannot be read or holds no image, or one of them is unusable.
        """
        path = Path(folder).expanduser()
        if not path.is_dir():
            raise InputError(f"template_folder {folder!r} is not a folder")
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise InputError(f"template_folder {folder!r} holds no image")
        for file in files:
            self.add_template(Header(frame_id=file.name), read_image(file), extractor)


def _view(header: Header, tensors: FeatureTensors) -> View[Origin]:
    return View(
        features=tensors.to_features(with_descriptors=False),
        stamp_sec=header.stamp.sec + header.stamp.nanosec / NANOSECONDS,
        origin=Origin(header, tensors),
    )
