"""From features to Matches messages, the same in every node that matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from std_msgs.msg import Header

from superglue_ros.config import MatchingConfig
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.images import read_image
from superglue_ros.inference import MatchedImages, SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.rotation import QUARTERS, best_turn, turned, turned_back
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.nodes.conversions import assignment_to_message, matches_to_message
from superglue_ros.partners import Keyframe, Partners, PreviousFrame, Templates, View
from superglue_ros.synchroniser import NANOSECONDS
from superglue_ros.timing import Stopwatch

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm")


class Origin(NamedTuple):
    """Where a view comes from.

    Attributes:
        header: Of its image.
        tensors: Its features on the device.
        turned: The image turned by quarters, where matches are looked for in any rotation; the
            keypoints of these views are in pixels of the image as it is.
    """

    header: Header
    tensors: FeatureTensors
    turned: tuple[View[Origin], ...] = ()


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
            return [self.pair(views[0], views[1])[1]]
        results = []
        for partner in self._partners.of(views[0]):
            matches, result = self.pair(partner, views[0])
            self._partners.matched(partner, views[0], matches)
            results.append(result)
        return results

    def pair(
        self,
        view0: View[Origin],
        view1: View[Origin],
        turned1: Iterable[View[Origin]] = (),
    ) -> tuple[Matches, MatchResult]:
        """Match two views, and where few match what there is of them turned."""
        turns = chain(
            [(view0, view1)],
            ((turned0, view1) for turned0 in view0.origin.turned),
            ((view0, one) for one in turned1),
        )
        views, matches = best_turn((turn, self._match(*turn)) for turn in turns)
        return matches, self._result(*views, matches)

    def _match(self, view0: View[Origin], view1: View[Origin]) -> Matches:
        with self._stopwatch.stage("match"):
            return self._matcher.match_tensors(
                view0.origin.tensors,
                view1.origin.tensors,
                with_assignment=self._config.publish_assignment_matrix,
            )

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

    def once(
        self, headers: Sequence[Header], images: Sequence[GreyImage], extractor: SuperPointExtractor
    ) -> MatchesMessage:
        """Match two images, apart from the sequence."""
        tensors = extractor.extract_tensors(images)
        view0, view1 = (_view(*pair) for pair in zip(headers, tensors, strict=True))
        turned1 = self._turned(headers[1], images[1], extractor)
        return self.pair(view0, view1, turned1)[1].matches

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
        others = tuple(self._turned(header, image, extractor))
        self.templates.add(_view(header, tensors, others))

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

    def _turned(
        self, header: Header, image: GreyImage, extractor: SuperPointExtractor
    ) -> Iterator[View[Origin]]:
        """The views of an image in its other rotations, where those count; each when asked for."""
        size = (image.shape[1], image.shape[0])
        for quarters in QUARTERS if self._config.any_rotation else ():
            (tensors,) = extractor.extract_tensors([turned(image, quarters)])
            view = _view(header, tensors)
            yield replace(view, features=turned_back(view.features, quarters, size))


def _view(
    header: Header, tensors: FeatureTensors, turned: tuple[View[Origin], ...] = ()
) -> View[Origin]:
    return View(
        features=tensors.to_features(with_descriptors=False),
        stamp_sec=header.stamp.sec + header.stamp.nanosec / NANOSECONDS,
        origin=Origin(header, tensors, turned),
    )
