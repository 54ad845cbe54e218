"""One bag as a task of its own, for a process here or on another machine."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.run import RUN_FILE, BagRun, OnFrame, partial_folder
from superglue_ros.config import Settings
from superglue_ros.errors import DeviceError, InputError

if TYPE_CHECKING:
    from superglue_ros.inference import Extractor, Matcher

DONE, INCOMPLETE, SKIPPED, FAILED = "done", "incomplete", "skipped", "failed"


@dataclass(frozen=True)
class Task:
    """A bag to match.

    Attributes:
        input: Path of the bag.
        output: Folder of the bag to write.
        config: Which images are matched.
        outputs: What to write.
        extractor: Settings of the extractor.
        matcher: Settings of the matcher.
        threads: Threads that the networks may use.
    """

    input: str
    output: str
    config: BagConfig
    outputs: Outputs
    extractor: Settings
    matcher: Settings
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        input: Path of the bag.
        output: Folder of the bag that was written.
        status: done; incomplete, where parts of the input could not be read or used; skipped, where
            it had been done before; failed.
        reason: Why it failed.
        summary: What the run did, but for failed ones.
    """

    input: str
    output: str
    status: str
    reason: str = ""
    summary: dict[str, Any] | None = None


OnOutcome = Callable[[int, Outcome], None]
"""Called with the number of a task and what became of it."""


def run_task(task: Task, on_frame: OnFrame = lambda done, total: None) -> Outcome:
    """Match one bag, going on with an interrupted run; whatever fails is in the outcome."""
    try:
        _limit_threads(task.threads)
        run = BagRun(Path(task.input), Path(task.output), task.config, task.outputs)
        loaded = networks(task.extractor, task.matcher)
        summary = run.run(*loaded, resume=True, on_frame=on_frame)
    except (InputError, DeviceError) as error:
        return failed(task, str(error))
    except Exception as error:  # one bag must not stop the others
        return failed(task, f"{type(error).__name__}: {error}")
    status = DONE if summary.is_complete else INCOMPLETE
    return Outcome(task.input, task.output, status, summary=dataclasses.asdict(summary))


def failed(task: Task, reason: str) -> Outcome:
    """The outcome of a task that failed."""
    return Outcome(task.input, task.output, FAILED, reason)


@lru_cache(maxsize=1)
def networks(extractor_config: Settings, matcher_config: Settings) -> tuple[Extractor, Matcher]:
    """Extractor and matcher, loaded once a process."""
    from superglue_ros.inference import registry

    extractor = registry.make_extractor(extractor_config)
    matcher = registry.make_matcher(matcher_config)
    registry.check_weights(extractor, matcher)
    return extractor, matcher


def _limit_threads(count: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(min(count, torch.get_num_threads()))
    cv2.setNumThreads(count)


def earlier(task: Task) -> Outcome | None:
    """The outcome of a task where there is nothing to do, as its output exists."""
    if not Path(task.output).exists():
        return None
    try:
        known = json.loads((Path(task.output) / RUN_FILE).read_text())
        settings = known["extractor"][-1], known["matcher"][-1]
        made_with = [known["input"][0], known["settings"], known["outputs"], *settings]
    except (OSError, ValueError, KeyError):
        return failed(task, f"{task.output} exists, but not as the output of such a run")
    parts = (task.config, task.outputs, task.extractor, task.matcher)
    wanted = [str(Path(task.input).resolve()), *(dataclasses.asdict(part) for part in parts)]
    # What a kill between the end of the work and the end of the cleaning leaves
    shutil.rmtree(partial_folder(Path(task.output)), ignore_errors=True)
    if made_with != json.loads(json.dumps(wanted)):
        return failed(task, f"{task.output} was made of another input or with other settings")
    return Outcome(task.input, task.output, SKIPPED, summary=known["summary"])
