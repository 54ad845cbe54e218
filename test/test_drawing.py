"""Pictures of matches."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superglue_ros.drawing import confidence_colours, draw_matches
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches

GAP = 4
GREY = np.full((240, 320), 60, np.uint8)
NO_POINTS = np.zeros((0, 2))


def features(points: object) -> Features:
    keypoints = np.array(points, np.float32).reshape(-1, 2)
    count = len(keypoints)
    return Features(
        keypoints, np.ones(count, np.float32), np.zeros((count, 0), np.float32), (320, 240), "test"
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
    points0, points1 = [[282, 160], [282, 240]], [[38, 160], [38, 240]]
    crossing = []
    for confidences in ([0.9, 0.1], [0.1, 0.9]):
        picture = draw_matches(
            np.full((300, 320), 60, np.uint8),
            np.full((300, 320), 60, np.uint8),
            features(points0),
            features(points1),
            matches([1, 0], confidences, count1=2),
        )
        crossing.append(picture[200, 322].astype(int))
    for pixel in crossing:
        assert np.abs(pixel - colour(0.9)).sum() < np.abs(pixel - colour(0.1)).sum()


def test_colours_grow_lighter_with_confidence() -> None:
    ramp = confidence_colours(np.linspace(0, 1, 50, dtype=np.float32))
    luminance = ramp @ np.array([0.114, 0.587, 0.299])
    assert (np.diff(luminance) > 0).all()


def test_images_of_different_heights_stand_beside_each_other_untouched() -> None:
    low, high = np.full((200, 300), 90, np.uint8), np.full((400, 500), 120, np.uint8)
    nothing = features(NO_POINTS)
    picture = draw_matches(low, high, nothing, nothing, matches([], [], 0))
    assert picture.shape == (400, 300 + GAP + 500, 3)
    assert (picture[180:200, :300] == 90).all()
    assert (picture[:, 300 + GAP :] == 120).all()
    assert (picture[200:, :300] < 90).all()


def test_grey_and_colour_images_may_be_mixed() -> None:
    as_colour = np.repeat(GREY[:, :, None], 3, axis=2)
    arguments = (features([[50, 200]]), features([[60, 200]]), matches([0], [0.5], 1))
    expected = draw_matches(GREY, GREY, *arguments)
    np.testing.assert_array_equal(draw_matches(as_colour, GREY, *arguments), expected)
    assert (as_colour == 60).all(), "the images given are not drawn into"


def test_the_panel_holds_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    written = texts(monkeypatch)
    points0, points1 = [[50, 200], [90, 200], [200, 100]], [[60, 200], [80, 200]]
    found = matches([0, 1, -1], [0.5, 0.75, 0.1], count1=2)
    picture = draw_matches(GREY, GREY, features(points0), features(points1), found)
    assert written[:3] == ["keypoints 3 / 2", "matches 2", "mean confidence 0.62"]
    assert (picture[:4, :4] < 60).all(), "the corner is dark behind the writing"


def test_nothing_found_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    written = texts(monkeypatch)
    draw_matches(GREY, GREY, features(NO_POINTS), features([[5, 5]]), matches([], [], 1))
    assert written[:3] == ["keypoints 0 / 1", "matches 0", "mean confidence -"]


def test_images_smaller_than_the_panel_are_drawn_too() -> None:
    pixel = np.zeros((1, 1), np.uint8)
    nothing = features(NO_POINTS)
    assert draw_matches(pixel, pixel, nothing, nothing, matches([], [], 0)).shape == (1, 6, 3)


def test_matches_of_other_features_are_refused() -> None:
    with pytest.raises(InputError, match="of 2 and 1 keypoints, but 1 and 1 were given"):
        draw_matches(
            GREY, GREY, features([[1, 1]]), features([[1, 1]]), matches([0, -1], [1, 0], 1)
        )


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 4))]
)
def test_other_kinds_of_images_are_refused(image: np.ndarray) -> None:
    nothing = features(NO_POINTS)
    with pytest.raises(InputError, match="image must be"):
        draw_matches(image, GREY, nothing, nothing, matches([], [], 0))
