"""Several bags at the same time, on the machines of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping

from superglue_ros.bag.work import OnOutcome, Outcome, Task, failed, run_task
from superglue_ros.errors import InputError

LOCAL = "local"
"""Instead of an address: a cluster of this machine alone, for as long as the work takes."""


def run_on_ray(tasks: Mapping[int, Task], address: str, cores: int, on_outcome: OnOutcome) -> None:
    """Do the tasks, one each with as many CPUs as it has threads, and a GPU where there are some.

    Args:
        tasks: The tasks by their numbers; their paths must be the same on all machines, and this
            package be installed there.
        address: Of the cluster, as `ray.init` takes it, or `LOCAL`.
        cores: CPUs of the local cluster.
        on_outcome: Told of each task that is done with.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray: pip install ray") from None
    here = {"num_cpus": cores, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **here)
    except Exception as error:  # Ray has many
        raise InputError(f"cannot reach a Ray cluster at {address}: {error}") from error
    try:
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(_run)
        running = {}
        for number, task in tasks.items():
            gpus = int(has_gpus and getattr(task.extractor, "device", "cpu") != "cpu")
            how = remote.options(num_cpus=task.threads, num_gpus=gpus)
            running[how.remote(task)] = number
        while running:
            (done, *_), _ = ray.wait(list(running))
            number = running.pop(done)
            try:
                outcome = ray.get(done)
            except ray.exceptions.RayError as error:
                outcome = failed(tasks[number], f"Ray: {str(error).splitlines()[0]}")
            on_outcome(number, outcome)
    finally:
        ray.shutdown()


def _run(task: Task) -> Outcome:
    return run_task(task)
