"""From features to Matches messages, the same in every node that matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from std_msgs.msg import Header

from superglue_ros.config import MatchingConfig
from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.images import read_image
from superglue_ros.inference import Extractor, Matcher
from superglue_ros.inference.refining import why_unrefined
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
        turned: The image turned by quarters, where matches are looked for in any rotation.
    """

    header: Header
    turned: tuple[View[Origin], ...] = ()


Pair = tuple[View[Origin], View[Origin]]


@dataclass(frozen=True, eq=False)
class TurnedView(View[Origin]):
    """The features of an image turned by quarters; its keypoints are in pixels of it as it is.

    Attributes:
        quarters: How often it was turned.
        size: (width, height) of the image as it is.
    """

    quarters: int
    size: tuple[int, int]

    @property
    def features(self) -> Features:
        """See `View.features`."""
        return turned_back(self.tensors.on_host, self.quarters, self.size)

    def refined(self, matches: Matches) -> Features:
        """See `View.refined`; the matches are of the image as it was turned."""
        return turned_back(matches.refined(self.tensors.on_host), self.quarters, self.size)


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
        tell: Takes a line, once, on why matches are not refined though that is wanted.

    Attributes:
        keyframe: The partners of mode keyframe.
        templates: The partners of mode template.
    """

    def __init__(
        self,
        config: MatchingConfig,
        matcher: Matcher,
        stopwatch: Stopwatch,
        tell: Callable[[str], None],
    ) -> None:
        """Start without earlier frames."""
        self.keyframe: Keyframe[Origin] = Keyframe(config)
        self.templates: Templates[Origin] = Templates()
        self._config = config
        self._matcher = matcher
        self._stopwatch = stopwatch
        self._tell = tell
        self._told: set[str] = set()
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
            left, right = views
            return self._matched([(left, right)])
        (view,) = views
        partners = self._partners.of(view)
        return self._matched([(partner, view) for partner in partners]) if partners else []

    def _matched(self, pairs: Sequence[Pair]) -> list[MatchResult]:
        """Match the pairs of a frame, and where few match what there is of them turned."""
        results = []
        for (view0, view1), matches in zip(pairs, self._match(pairs), strict=True):
            turned0 = ((turned0, view1) for turned0 in view0.origin.turned)
            best, matches_of_best = self._best((view0, view1), matches, turned0)
            if self._partners is not None:
                self._partners.matched(view0, view1, matches_of_best)
            results.append(self._result(*best, matches_of_best))
        return results

    def _best(self, pair: Pair, matches: Matches, others: Iterable[Pair]) -> tuple[Pair, Matches]:
        """The pair, or that of its other turns which matches best; they are tried where few do."""

        def turns() -> Iterator[tuple[Pair, Matches]]:
            yield pair, matches
            tried = list(others)
            yield from zip(tried, self._match(tried) if tried else [], strict=True)

        return best_turn(turns())

    def _match(self, pairs: Sequence[Pair]) -> list[Matches]:
        tensors = [(view0.tensors, view1.tensors) for view0, view1 in pairs]
        with self._stopwatch.stage("match"):
            found = self._matcher.match_batch(
                tensors, with_assignment=self._config.publish_assignment_matrix
            )
        for pair, matches in zip(tensors, found, strict=True):
            if self._matcher.config.refinement and matches.keypoints1 is None and len(matches):
                self._tell_once(why_unrefined(pair))
        return found

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)

    def _result(self, view0: View[Origin], view1: View[Origin], matches: Matches) -> MatchResult:
        headers = (view0.origin.header, view1.origin.header)
        features = (view0.features, view1.refined(matches))
        message = matches_to_message(replace(matches, keypoints1=None), features, headers)
        assignment = matches.assignment
        return MatchResult(
            message, None if assignment is None else assignment_to_message(assignment, headers)
        )

    def once(
        self, headers: Sequence[Header], images: Sequence[GreyImage], extractor: Extractor
    ) -> MatchesMessage:
        """Match two images, apart from the sequence."""
        tensors = extractor.extract_tensors(images)
        view0, view1 = (_view(*pair) for pair in zip(headers, tensors, strict=True))
        pair = (view0, view1)
        turned1 = ((view0, one) for one in self._turned(headers[1], images[1], extractor))
        best, matches = self._best(pair, self._match([pair])[0], turned1)
        return self._result(*best, matches).matches

    def add_template(self, header: Header, image: GreyImage, extractor: Extractor) -> None:
        """Store a reference image.

        Raises:
            InputError: It has no keypoints.
        """
        (tensors,) = extractor.extract_tensors([image])
        if not len(tensors):
            raise InputError(f"reference image {header.frame_id!r} has no keypoints: too plain?")
        others = tuple(self._turned(header, image, extractor))
        self.templates.add(_view(header, tensors, others))

    def add_template_folder(self, folder: str, extractor: Extractor) -> None:
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
        self, header: Header, image: GreyImage, extractor: Extractor
    ) -> Iterator[View[Origin]]:
        """The views of an image in its other rotations, where those count, when asked for."""
        if not self._config.any_rotation:
            return
        size = (image.shape[1], image.shape[0])
        found = extractor.extract_tensors([turned(image, quarters) for quarters in QUARTERS])
        for quarters, tensors in zip(QUARTERS, found, strict=True):
            yield TurnedView(tensors, _stamp_sec(header), Origin(header), quarters, size)


def _view(
    header: Header, tensors: FeatureTensors, turned: tuple[View[Origin], ...] = ()
) -> View[Origin]:
    return View(tensors, _stamp_sec(header), Origin(header, turned))


def _stamp_sec(header: Header) -> float:
    return float(header.stamp.sec + header.stamp.nanosec / NANOSECONDS)
