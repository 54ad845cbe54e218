"""Pictures of matches."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import Tails, TrackTails, confidence_colours, draw_matches
from superglue_ros.drawing.colours import INLIER, OUTLIER
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.tracks import Tracks

GAP = 4
GREY = np.full((240, 320), 60, np.uint8)
NO_POINTS = np.zeros((0, 2))
GOLDEN = Path(__file__).parent / "golden" / "matches.png"


def features(points: object, image_size: tuple[int, int] = (320, 240)) -> Features:
    keypoints = np.array(points, np.float32).reshape(-1, 2)
    count = len(keypoints)
    return Features(
        keypoints, np.ones(count, np.float32), np.zeros((count, 0), np.float32), image_size, "test"
    )


def matches(partners: list[int], confidences: list[float], count1: int) -> Matches:
    matches0 = np.array(partners, np.int32)
    scores0 = np.array(confidences, np.float32)
    matches1, scores1 = np.full(count1, -1, np.int32), np.zeros(count1, np.float32)
    for index0 in np.flatnonzero(matches0 >= 0):
        matches1[matches0[index0]], scores1[matches0[index0]] = index0, scores0[index0]
    return Matches(matches0, matches1, scores0, scores1, "test")


def colour(confidence: float) -> list[int]:
    return confidence_colours(np.array([confidence], np.float32))[0].tolist()


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []
    put_text = cv2.putText

    def record(image: object, text: str, *arguments: object) -> object:
        written.append(text)
        return put_text(image, text, *arguments)

    monkeypatch.setattr(cv2, "putText", record)
    return written


def captioned(picture: np.ndarray, rows: int) -> int:
    """The height of the caption below images of that many rows."""
    caption = picture[rows:]
    assert len(caption) > 15
    assert (caption[:2] == caption[0, 0]).all()
    assert (caption.max(axis=2) > 200).any(), "there is writing"
    return len(caption)


def is_like(pixel: np.ndarray, wanted: object, than: object) -> bool:
    """Whether a pixel is nearer to one colour than to another."""
    nearness = [np.abs(pixel.astype(int) - np.array(one)).sum() for one in (wanted, than)]
    return nearness[0] < nearness[1]


def test_matched_points_have_the_colour_of_their_confidence_and_others_are_grey() -> None:
    picture = draw_matches(
        GREY,
        GREY,
        features([[250, 200], [100, 220]]),
        features([[60, 150]]),
        matches([0, -1], [0.8, 0.0], count1=1),
    )
    assert picture[200, 250].tolist() == colour(0.8)
    assert picture[150, 320 + GAP + 60].tolist() == colour(0.8)
    blue, green, red = picture[220, 100].tolist()
    assert blue == green == red > 60


def test_a_line_joins_the_points_and_the_images_show_through_it() -> None:
    row = [[300, 200]], [[36, 200]]
    picture = draw_matches(GREY, GREY, features(row[0]), features(row[1]), matches([0], [1.0], 1))
    between = picture[200, 330:350].astype(int)
    background = picture[230, 340].astype(int)
    line = np.array(colour(1.0))
    assert (np.abs(between - line) < np.abs(background - line)).all()
    assert not (between == line).all(axis=1).any()
    assert (picture[210, :320] == 60).all()


def test_the_most_confident_match_is_on_top() -> None:
    # Both go from corner to corner of a square around column 322 and cross there, in row 200.
    image = np.full((300, 320), 60, np.uint8)
    points0, points1 = [[282, 160], [282, 240]], [[38, 160], [38, 240]]
    for confidences in ([0.9, 0.1], [0.1, 0.9]):
        picture = draw_matches(
            image,
            image,
            features(points0, (320, 300)),
            features(points1, (320, 300)),
            matches([1, 0], confidences, count1=2),
        )
        assert is_like(picture[200, 322], colour(0.9), than=colour(0.1))


def test_colours_grow_lighter_with_confidence() -> None:
    ramp = confidence_colours(np.linspace(0, 1, 50, dtype=np.float32))
    luminance = ramp @ np.array([0.114, 0.587, 0.299])
    assert (np.diff(luminance) > 0).all()


def test_inliers_and_outliers_differ_in_colour_brightness_and_shape() -> None:
    picture = draw_matches(
        GREY,
        GREY,
        features([[250, 200], [200, 160]]),
        features([[60, 200], [60, 160]]),
        matches([0, 1], [0.2, 0.9], count1=2),
        DrawingConfig(colour="inlier"),
        inliers=np.array([True, False]),
    )
    assert picture[200, 250].tolist() == list(INLIER)
    assert picture[160, 200].tolist() == list(OUTLIER)
    # Beside its centre a disc is filled; between the arms of a cross there is none of its colour.
    assert picture[200, 251].tolist() == list(INLIER)
    assert picture[160, 202].tolist() != list(OUTLIER)
    weights = np.array([0.114, 0.587, 0.299])
    assert weights @ INLIER > weights @ OUTLIER + 30


def test_without_a_geometry_colours_are_those_of_confidence() -> None:
    picture = draw_matches(
        GREY,
        GREY,
        features([[250, 200]]),
        features([[60, 200]]),
        matches([0], [0.8], count1=1),
        DrawingConfig(colour="inlier"),
    )
    assert picture[200, 250].tolist() == colour(0.8)


def test_images_of_different_sizes_stand_beside_each_other_untouched() -> None:
    low, high = np.full((200, 300), 90, np.uint8), np.full((400, 500), 120, np.uint8)
    nothing = features(NO_POINTS)
    picture = draw_matches(low, high, nothing, nothing, matches([], [], 0))
    assert picture.shape == (400 + captioned(picture, 400), 300 + GAP + 500, 3)
    assert (picture[:200, :300] == 90).all()
    assert (picture[:400, 300 + GAP :] == 120).all()
    assert (picture[200:400, :300] < 90).all()


def test_stacked_images_stand_one_above_the_other() -> None:
    upper, lower = np.full((200, 300), 90, np.uint8), np.full((240, 320), 120, np.uint8)
    picture = draw_matches(
        upper,
        lower,
        features([[250, 180]], (300, 200)),
        features([[60, 200]]),
        matches([0], [0.8], 1),
        DrawingConfig(layout="stacked"),
    )
    assert picture.shape[1] == 320
    assert captioned(picture, 200 + GAP + 240)
    assert picture[180, 250].tolist() == colour(0.8)
    assert picture[200 + GAP + 200, 60].tolist() == colour(0.8)
    assert picture[150, 290].tolist() == [90] * 3
    assert (picture[150, 301:] < 90).all()


def test_an_overlay_shows_image_1_with_lines_from_where_the_points_were() -> None:
    picture = draw_matches(
        np.zeros((120, 160), np.uint8),  # of half the size
        GREY,
        features([[99.5, 99.5]], (160, 120)),
        features([[260, 200]]),
        matches([0], [1.0], 1),
        DrawingConfig(layout="overlay"),
    )
    assert captioned(picture, 240)
    assert picture[200, 260].tolist() == colour(1.0)
    line = picture[199:202, 203:250].max(axis=0)
    assert all(is_like(pixel, colour(1.0), than=[60] * 3) for pixel in line)
    assert (picture[195:206, 190:198] == 60).all()


def test_where_there_is_no_image_0_image_1_stands_alone_without_lines() -> None:
    picture = draw_matches(
        None, GREY, features([[250, 100]]), features([[60, 200]]), matches([0], [1.0], 1)
    )
    assert captioned(picture, 240)
    assert picture[200, 60].tolist() == colour(1.0)
    assert (picture[120:190, 150:] == 60).all()


@pytest.mark.parametrize(
    ("layout", "expected"),
    [("side_by_side", (64, 100)), ("stacked", (100, 80)), ("overlay", (75, 100))],
)
def test_pictures_are_reduced_to_the_largest_size(layout: str, expected: tuple[int, int]) -> None:
    image = np.full((600, 800), 60, np.uint8)
    # The middle of the image keeps its place, whatever the scale.
    middle = features([[399.5, 299.5]], (800, 600))
    config = DrawingConfig(layout=layout, max_picture_size=100)
    picture = draw_matches(image, image, middle, middle, matches([0], [1.0], 1), config)
    height, width = picture.shape[:2]
    assert max(height, width) <= 100
    assert abs(height - expected[0]) + abs(width - expected[1]) <= 30
    corner = {"side_by_side": (0, 52), "stacked": (52, 0), "overlay": (0, 0)}[layout]
    rows, columns = height - corner[0], width - corner[1]
    assert rows / columns == pytest.approx(0.75, abs=0.03)


def test_what_large_images_show_keeps_its_place_in_a_small_picture() -> None:
    large = np.full((2160, 3840), 60, np.uint8)
    large[1200:1296, 2400:2480] = 250
    nothing = features(NO_POINTS, (3840, 2160))
    config = DrawingConfig(layout="overlay", max_picture_size=480)
    picture = draw_matches(large, large, nothing, nothing, matches([], [], 0), config)
    assert picture.shape == (270 + captioned(picture, 270), 480, 3)
    bright = np.argwhere(picture[:270, :, 0] > 155)
    np.testing.assert_array_equal(bright.min(axis=0), [150, 300])
    np.testing.assert_array_equal(bright.max(axis=0), [161, 309])


def test_a_tail_leads_to_the_point_and_fades_towards_the_past() -> None:
    path = np.array([[100, 200], [150, 200], [200, 200], [250, 200]], np.float32)
    tails = Tails(np.array([0], np.int32), path, np.array([len(path)]))
    picture = draw_matches(
        GREY,
        GREY,
        features([[200, 200]]),
        features([[250, 200]]),
        matches([0], [1.0], 1),
        DrawingConfig(layout="overlay"),
        tails=tails,
    )
    strength = [np.abs(picture[200, x].astype(int) - 60).sum() for x in (120, 170, 220)]
    assert 0 < strength[0] < strength[1] < strength[2]
    assert (picture[195:206, :95] == 60).all()


def test_tails_are_the_last_places_of_tracks_that_have_not_ended() -> None:
    def tracks(ids: list[int], x: float, ended: tuple[int, ...] = ()) -> Tracks:
        points = np.array([[x, track] for track in ids], np.float32).reshape(-1, 2)
        numbers = np.arange(len(ids), dtype=np.int32)
        return Tracks(np.array(ids, np.int64), numbers, points, numbers, np.array(ended, np.int64))

    tails = TrackTails()
    tails.update(tracks([7, 8], 0))
    tails.update(tracks([8], 1, ended=(7,)))
    last = tails.update(tracks([8, 7], 2))
    assert [path.tolist() for path in last.paths] == [[[0, 8], [1, 8], [2, 8]], [[2, 7]]]
    restored = TrackTails()
    restored.restore(tails.state())
    for one in (tails, restored):
        assert [path.tolist() for path in one.update(tracks([7], 3)).paths] == [[[2, 7], [3, 7]]]
    for x in range(3, 40):
        last = tails.update(tracks([8], x))
    assert last.paths[0][:, 0].tolist() == list(range(20, 40))


def test_grey_and_colour_images_may_be_mixed() -> None:
    as_colour = np.repeat(GREY[:, :, None], 3, axis=2)
    arguments = (features([[50, 200]]), features([[60, 200]]), matches([0], [0.5], 1))
    expected = draw_matches(GREY, GREY, *arguments)
    np.testing.assert_array_equal(draw_matches(as_colour, GREY, *arguments), expected)
    assert (as_colour == 60).all(), "the images given are not drawn into"


def test_the_caption_holds_the_counts_and_what_the_marks_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = texts(monkeypatch)
    points0, points1 = [[50, 200], [90, 200], [200, 5]], [[60, 200], [80, 200]]
    found = matches([0, 1, -1], [0.5, 0.75, 0.1], count1=2)
    arguments = (GREY, GREY, features(points0), features(points1), found)
    counts = ["keypoints 3 / 2", "matches 2", "mean confidence 0.62", "10.0 Hz"]
    picture = draw_matches(
        *arguments,
        DrawingConfig(colour="inlier"),
        inliers=np.array([True, False]),
        notes=["10.0 Hz"],
    )
    assert written == [*counts, "inliers 1", "outliers 1", "no match"]
    blue, green, red = picture[5, 200].tolist()
    assert blue == green == red > 60, "a point in the corner is seen"
    caption = picture[240:].reshape(-1, 3).tolist()
    assert list(INLIER) in caption
    assert list(OUTLIER) in caption
    written.clear()
    draw_matches(*arguments, notes=["10.0 Hz"])
    assert written == [*counts, "confidence 0..1", "no match"]
    written.clear()
    tails = Tails(
        np.array([0], np.int32), np.array([[10, 10], [60, 200]], np.float32), np.array([2])
    )
    draw_matches(*arguments, DrawingConfig(layout="overlay"), tails=tails)
    assert written[-2:] == ["no match", "where tracks were"]


def test_where_lines_would_hide_the_images_the_most_certain_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = texts(monkeypatch)
    rows = np.linspace(2, 237, 200)
    points = np.column_stack([np.full(200, 160), rows])
    confidences = np.linspace(0.2, 0.9, 200)
    random = np.random.default_rng(5)
    shuffled = random.permutation(200)
    found = matches(list(range(200)), confidences[shuffled].tolist(), 200)
    picture = draw_matches(GREY, GREY, features(points), features(points), found)
    between = picture[:240, 322 - 60 : 322 - 20].astype(int)
    covered = (np.abs(between - 60).sum(axis=2) > 20).mean()
    assert 0.02 < covered < 0.35
    (some,) = [text for text in written if text.startswith("lines of the")]
    count = int(some.split()[3])
    assert 20 <= count < 100
    for rank in (0, count - 1, count + 5, 199):  # from the most certain to the least
        index = int(np.flatnonzero(shuffled == 199 - rank)[0])
        line = between[round(rows[index])].mean(axis=0)
        drawn = is_like(line, colour(confidences[199 - rank]), than=[60] * 3)
        assert drawn == (rank < count)


def test_few_lines_are_all_there_and_nothing_is_said_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = texts(monkeypatch)
    points = np.column_stack([np.full(20, 160), np.linspace(5, 235, 20)])
    found = matches(list(range(20)), [0.5] * 20, 20)
    draw_matches(GREY, GREY, features(points), features(points), found)
    assert not any(text.startswith("lines") for text in written)


def test_nothing_found_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    written = texts(monkeypatch)
    draw_matches(GREY, GREY, features(NO_POINTS), features([[5, 5]]), matches([], [], 1))
    assert written[:3] == ["keypoints 0 / 1", "matches 0", "mean confidence -"]


def test_images_smaller_than_a_caption_have_none() -> None:
    pixel = np.zeros((1, 1), np.uint8)
    nothing = features(NO_POINTS, (0, 0))
    assert draw_matches(pixel, pixel, nothing, nothing, matches([], [], 0)).shape == (1, 6, 3)
    config = DrawingConfig(colour="inlier")
    inliers = np.zeros(0, bool)
    picture = draw_matches(
        None, pixel, nothing, nothing, matches([], [], 0), config, inliers=inliers
    )
    assert picture.shape == (1, 1, 3)


@pytest.mark.parametrize("layout", ["side_by_side", "stacked", "overlay"])
@pytest.mark.parametrize("size", [400, 960])
def test_images_and_caption_keep_within_the_largest_size(layout: str, size: int) -> None:
    image = np.full((1200, 900), 60, np.uint8)
    nothing = features(NO_POINTS, (900, 1200))
    config = DrawingConfig(layout=layout, max_picture_size=size)
    picture = draw_matches(image, image, nothing, nothing, matches([], [], 0), config)
    assert size - 8 <= max(picture.shape[:2]) <= size
    assert (picture[-1] != 60).all(), "there is a caption"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [1e9, 3e38])
def test_points_far_outside_their_image_are_drawn_as_far_as_they_are_inside(far: float) -> None:
    points0, points1 = [[far, far], [300, 200]], [[60, 150], [far, 200]]
    picture = draw_matches(
        GREY, GREY, features(points0), features(points1), matches([0, 1], [0.5, 0.6], 2)
    )
    assert picture[150, 320 + GAP + 60].tolist() == colour(0.5)
    assert is_like(picture[200, 600], colour(0.6), than=[60] * 3)


def test_matches_of_other_features_are_refused() -> None:
    one, found = features([[1, 1]]), matches([0, -1], [1, 0], 1)
    with pytest.raises(InputError, match="of 2 and 1 keypoints, but 1 and 1 were given"):
        draw_matches(GREY, GREY, one, one, found)
    with pytest.raises(InputError, match="there are 1 matches, but 2 inlier flags"):
        draw_matches(GREY, GREY, features([[1, 1]] * 2), one, found, inliers=np.ones(2, bool))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 4))]
)
def test_other_kinds_of_images_are_refused(image: np.ndarray) -> None:
    nothing = features(NO_POINTS)
    for images in ((image, GREY), (GREY, image)):
        with pytest.raises(InputError, match="image must be"):
            draw_matches(*images, nothing, nothing, matches([], [], 0))


def a_picture_of_everything(config: DrawingConfig) -> np.ndarray:
    """Blocks of grey and the same from elsewhere, with matches good and bad, and tracks."""
    random = np.random.default_rng(3)
    blocks = random.integers(60, 200, (6, 9), np.uint8)
    scene = np.kron(blocks, np.ones((40, 40), np.uint8))[:240]
    images = [scene[:, x : x + 320] for x in (0, 40)]
    points0 = random.uniform((60, 110), (310, 230), (20, 2)).astype(np.float32)
    points1 = points0 - np.array([40, 0], np.float32)
    points1[::6] = random.uniform((20, 110), (270, 230), (4, 2))
    partners = np.where(np.arange(20) < 16, np.arange(20), -1).tolist()
    steps = np.array([[80, 12], [44, -8], [0, 0]], np.float32)
    return draw_matches(
        *images,
        features(points0),
        features(points1),
        matches(partners, np.linspace(0.1, 1, 20).tolist(), 20),
        config,
        inliers=np.arange(16) % 6 > 0,
        tails=Tails(
            np.arange(16, dtype=np.int32),
            np.concatenate([point + steps for point in points1[:16]]),
            np.full(16, len(steps)),
        ),
    )


def structural_similarity(picture: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """SSIM at each pixel (Wang et al. 2004): Gaussian of sigma 1.5, K1 0.01, K2 0.03."""

    def blurred(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    x, y = picture.astype(np.float64), golden.astype(np.float64)
    mean_x, mean_y = blurred(x), blurred(y)
    variances = blurred(x * x) - mean_x**2 + blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))


def above_the_caption(picture: np.ndarray) -> np.ndarray:
    """Without letters, which differ between versions of OpenCV."""
    return picture[:240]


def similarity_to_golden(picture: np.ndarray) -> float:
    return float(structural_similarity(above_the_caption(picture), cv2.imread(str(GOLDEN))).mean())


def test_a_picture_is_like_the_one_that_was_looked_at_and_found_good() -> None:
    assert similarity_to_golden(a_picture_of_everything(DrawingConfig(colour="inlier"))) > 0.98


def test_a_picture_in_other_colours_is_not_like_it() -> None:
    assert similarity_to_golden(a_picture_of_everything(DrawingConfig())) < 0.95
