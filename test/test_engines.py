"""Which engine runs a network, and that none is trusted before it gives the same results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from superglue_ros.errors import InputError
from superglue_ros.features import Matches
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.engines import (
    EngineOptions,
    EngineUnavailableError,
    exact,
    selection,
)
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.weights.loading import load_superpoint

FP32 = EngineOptions(torch.device("cpu"), "fp32")


class Altered:
    """An engine module whose results are those of the exact one, changed by a function."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    def superpoint_engine(self, loaded: Any, options: EngineOptions) -> Any:
        engine = exact.superpoint_engine(loaded, FP32)
        detect = engine.detect
        engine.detect = lambda *given: self._altered(detect(*given))  # type: ignore[method-assign]
        return engine

    def superglue_engine(self, loaded: Any, options: EngineOptions) -> Any:
        engine: Any = exact.superglue_engine(loaded, FP32)
        begin = engine.begin_match
        engine.begin_match = lambda *a, **k: lambda: self._altered(begin(*a, **k)())
        return engine

    def _altered(self, results: Sequence[Any]) -> list[Any]:
        return [self._change(one) for one in results]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """`install(module)`: let the module's engines be the first that `auto` tries."""

    def put(module: Any) -> None:
        real = selection._module
        for network in ("superpoint", "superglue"):
            monkeypatch.setitem(selection.AUTOMATIC, (network, "cpu"), (("other", "auto"),))
        monkeypatch.setattr(
            selection, "_module", lambda name: module if name == "other" else real(name)
        )

    return put


def features_of(found: FeatureTensors, **changed: torch.Tensor) -> FeatureTensors:
    tensors = {name: getattr(found, name) for name in ("keypoints", "scores", "descriptors")}
    return FeatureTensors(
        **tensors | changed, image_size=found.image_size, extractor=found.extractor
    )


def shifted(found: FeatureTensors) -> FeatureTensors:
    return features_of(found, keypoints=found.keypoints + 1)


def without_half_of_the_keypoints(found: FeatureTensors) -> FeatureTensors:
    return features_of(
        found,
        keypoints=found.keypoints[::2],
        scores=found.scores[::2],
        descriptors=found.descriptors[::2],
    )


def with_descriptors_of_others(found: FeatureTensors) -> FeatureTensors:
    return features_of(found, descriptors=found.descriptors.roll(1, dims=0))


def not_a_number(found: FeatureTensors) -> FeatureTensors:
    return features_of(found, descriptors=found.descriptors * torch.nan)


def nothing_matched(matches: Matches) -> Matches:
    return replace(matches, matches0=np.full_like(matches.matches0, -1))


def matched_to_neighbours(matches: Matches) -> Matches:
    return replace(matches, matches1=np.roll(matches.matches1, 1))


@pytest.mark.parametrize(
    "change",
    [shifted, without_half_of_the_keypoints, with_descriptors_of_others, not_a_number],
)
def test_a_superpoint_engine_that_computes_something_else_is_refused(
    change: Callable[[Any], Any],
    install: Callable[[Any], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(Altered(change))
    with caplog.at_level(logging.WARNING):
        extractor = SuperPointExtractor(device="cpu")
    assert extractor.engine == "torch"
    assert "engine other, precision auto, does not run superpoint as it should" in caplog.text


@pytest.mark.parametrize("change", [nothing_matched, matched_to_neighbours])
def test_a_superglue_engine_that_computes_something_else_is_refused(
    change: Callable[[Any], Any],
    install: Callable[[Any], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(Altered(change))
    with caplog.at_level(logging.WARNING):
        matcher = SuperGlueMatcher(device="cpu")
    assert matcher.engine == "torch"
    assert "matches are the same" in caplog.text


def test_an_engine_that_breaks_is_refused(
    install: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def superpoint_engine(self, loaded: Any, options: EngineOptions) -> Any:
            raise RuntimeError("illegal instruction")

    install(Broken())
    assert SuperPointExtractor(device="cpu").engine == "torch"
    assert "RuntimeError: illegal instruction" in caplog.text


def test_an_engine_that_gives_the_same_is_taken(
    install: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    install(Altered(lambda result: result))
    assert SuperPointExtractor(device="cpu").engine == "other"
    assert SuperGlueMatcher(device="cpu").engine == "other"
    assert not caplog.records


def test_an_engine_that_cannot_run_is_passed_over_unless_it_was_asked_for(
    install: Callable[[Any], None],
) -> None:
    class Missing:
        def superpoint_engine(self, loaded: Any, options: EngineOptions) -> Any:
            raise EngineUnavailableError("pip install something")

    install(Missing())
    assert SuperPointExtractor(device="cpu").engine == "torch"
    asked = SimpleNamespace(engine="other", precision="auto")
    with pytest.raises(InputError, match="pip install something"):
        selection.select_superpoint(load_superpoint("superpoint"), asked, torch.device("cpu"))


def test_the_exact_engine_is_the_one_that_is_asked_for_by_name() -> None:
    assert SuperPointExtractor(device="cpu", engine="torch").engine == "torch"
    with pytest.raises(InputError, match="engine must be one of auto, torch"):
        SuperPointExtractor(engine="cuda-magic")
