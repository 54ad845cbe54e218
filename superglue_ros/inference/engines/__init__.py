"""What runs the networks: one small interface, and the ways to fulfil it.

`interface` says what an engine does. `exact` is the one that the others are measured by: PyTorch in
float32. `selection` chooses one for the setting `engine`, and `parity` tests it against `exact`
before it is trusted.
"""

from superglue_ros.inference.engines.interface import (
    EngineOptions,
    EngineUnavailableError,
    PendingMatches,
    PreparedImage,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.selection import select_superglue, select_superpoint

__all__ = [
    "EngineOptions",
    "EngineUnavailableError",
    "PendingMatches",
    "PreparedImage",
    "SuperGlueEngine",
    "SuperPointEngine",
    "select_superglue",
    "select_superpoint",
]
