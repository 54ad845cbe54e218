"""`superglue-ros bag` over a folder of bags."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from superglue_ros.bag.collection import find_bags
from superglue_ros.cli.progress import frames_progress
from superglue_ros.cli.tables import print_table
from superglue_ros.errors import InputError

if TYPE_CHECKING:
    from superglue_ros.bag.work import Outcome, Task

WORK_LIST = "bags.json"
SOME_FAILED = 3


def run_folder(arguments: argparse.Namespace, template: Task) -> None:
    """Match over all bags of a folder; prints what became of each.

    Args:
        arguments: Those of the command line.
        template: What is the same for all.

    Raises:
        InputError: There is no bag, or the output cannot be written.
        SystemExit: With 3 where a bag failed, with 1 where parts of one could not be read or used.
    """
    from superglue_ros.bag.work import FAILED, INCOMPLETE

    tasks = [
        dataclasses.replace(template, input=str(bag.resolve()), output=str(output.resolve()))
        for bag, output in find_bags(arguments.input, arguments.output).items()
    ]
    outcomes = _run(arguments, tasks)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes]))
    elif not arguments.quiet:
        _print_outcomes(outcomes, arguments)
    for outcome in outcomes:
        if outcome.reason:
            print(f"{outcome.input}: {outcome.reason}", file=sys.stderr)
    found = {outcome.status for outcome in outcomes}
    if FAILED in found:
        sys.exit(SOME_FAILED)
    if INCOMPLETE in found:
        sys.exit(1)


def threads_a_job(jobs: int) -> int:
    """How many threads each of several jobs may use."""
    return max(1, _cores() // jobs)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _run(arguments: argparse.Namespace, tasks: Sequence[Task]) -> list[Outcome]:
    from superglue_ros.bag.cluster import run_on_ray
    from superglue_ros.bag.processes import run_in_processes
    from superglue_ros.bag.work import earlier

    outcomes: dict[int, Outcome] = {}
    with frames_progress(disable=arguments.quiet or arguments.json) as progress:
        all_bags = progress.add_task("bags", total=len(tasks))
        bars = {}

        def on_frame(number: int, done: int, total: int) -> None:
            if number not in bars:
                bars[number] = progress.add_task(Path(tasks[number].input).name)
            progress.update(bars[number], completed=done, total=total)

        def on_outcome(number: int, outcome: Outcome) -> None:
            outcomes[number] = outcome
            _write_work_list(arguments.output, tasks, outcomes)
            progress.advance(all_bags)
            if number in bars:
                progress.remove_task(bars[number])

        waiting = {}
        for number, task in enumerate(tasks):
            outcome = earlier(task)
            if outcome is None:
                waiting[number] = task
            else:
                on_outcome(number, outcome)
        if waiting and arguments.ray is None:
            run_in_processes(waiting, arguments.jobs or 1, on_outcome, on_frame)
        elif waiting:
            run_on_ray(waiting, arguments.ray, _cores(), on_outcome)
    return [outcomes[number] for number in range(len(tasks))]


def _write_work_list(folder: Path, tasks: Sequence[Task], outcomes: dict[int, Outcome]) -> None:
    """All bags with what has become of them so far."""
    lines = [
        dataclasses.asdict(outcomes[number])
        if number in outcomes
        else {"input": task.input, "output": task.output, "status": "waiting"}
        for number, task in enumerate(tasks)
    ]
    unfinished = folder / f"{WORK_LIST}.unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(lines, indent=1))
        unfinished.rename(folder / WORK_LIST)
    except OSError as error:
        raise InputError(f"cannot write {folder / WORK_LIST}: {error.strerror}") from error


def _print_outcomes(outcomes: Sequence[Outcome], arguments: argparse.Namespace) -> None:
    table = Table("bag", "", "frames", "pairs", "matches per pair")
    for outcome in outcomes:
        summary = outcome.summary or {}
        mean = f"{summary['mean_matches']:.0f}" if summary else ""
        counts = (str(summary.get(name, "")) for name in ("frames", "pairs"))
        name = str(Path(outcome.input).relative_to(arguments.input.resolve()))
        table.add_row(escape(name), outcome.status, *counts, mean)
    print_table(table)
    print(arguments.output)
