"""The fused engines as they run on a GPU, on the CPU, and a log of what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from numpy.typing import NDArray

from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.engines import fused_superpoint_engine
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.transfers import Download

IMAGES_AT_ONCE = 4

Networks = tuple[SuperPointExtractor, SuperGlueMatcher]


def networks(engine: str, **settings: Any) -> Networks:
    return (
        SuperPointExtractor(device="cpu", engine=engine, max_keypoints=60, **settings),
        SuperGlueMatcher(device="cpu", engine=engine, sinkhorn_iterations=20),
    )


@contextmanager
def as_on_a_gpu(extractor: SuperPointExtractor, matcher: SuperGlueMatcher) -> Iterator[None]:
    """Fused engines on the CPU work in batches of fixed shapes, and the host does not wait."""
    engines: list[Any] = [extractor._engine, matcher._engine]
    with pytest.MonkeyPatch.context() as patch:
        for engine in engines:
            patch.setattr(engine, "fixed_shapes", True)
        patch.setattr(engines[1], "_pairs_at_once", IMAGES_AT_ONCE // 2)
        patch.setattr(fused_superpoint_engine, "images_at_once", lambda *_: IMAGES_AT_ONCE)
        patch.setattr(type(extractor), "images_at_once", IMAGES_AT_ONCE)
        yield


@contextmanager
def logged() -> Iterator[list[str]]:
    """What is done from now on: "extract" and "match" begin, "wait" is for what has begun."""
    log: list[str] = []
    waited: set[Download] = set()  # which keeps them, as the next one could have the same id
    run, result = GraphCache.__call__, Download.result

    def logged_run(self: GraphCache, key: Any, function: Any, *inputs: Any) -> Any:
        log.append(
            {"DetectionSettings": "extract", "MatchingSettings": "match"}[type(key).__name__]
        )
        return run(self, key, function, *inputs)

    def logged_result(self: Download) -> list[NDArray[Any]]:
        if self not in waited:  # what has arrived is waited for no more
            waited.add(self)
            log.append("wait")
        return result(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphCache, "__call__", logged_run)
        patch.setattr(Download, "result", logged_result)
        yield log
