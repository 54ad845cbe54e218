"""Several bags at the same time, in processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait

from superglue_ros.bag.work import OnOutcome, Task, failed, run_task

_CONTEXT = multiprocessing.get_context("spawn")  # CUDA does not survive a fork

OnTaskFrame = Callable[[int, int, int], None]
"""Called with the number of a task, and its frames that are done and those expected."""


class _Worker:
    """A process that does one task after the other."""

    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that its end shows here

    def ended(self) -> str:
        """How the process ended."""
        self._process.join()
        code = self._process.exitcode or 0
        return f"by signal {-code}" if code < 0 else f"with status {code}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()


def run_in_processes(
    tasks: Mapping[int, Task], jobs: int, on_outcome: OnOutcome, on_frame: OnTaskFrame
) -> None:
    """Do the tasks, up to `jobs` at the same time.

    Args:
        tasks: The tasks by their numbers.
        jobs: The number of processes.
        on_outcome: Told of each task that is done with.
        on_frame: Told of each frame.
    """
    waiting = deque(tasks)
    workers = [_Worker() for _ in range(min(jobs, len(tasks)))]
    busy: dict[Connection, tuple[_Worker, int]] = {}

    def begin(worker: _Worker) -> None:
        number = waiting.popleft()
        busy[worker.connection] = (worker, number)
        worker.connection.send(tasks[number])

    try:
        for worker in workers:
            begin(worker)
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, number = busy[connection]
                try:
                    told = connection.recv()
                except (EOFError, ConnectionError):  # killed, for want of memory say
                    reason = f"its process ended {worker.ended()}: out of memory?"
                    told = failed(tasks[number], reason)
                    workers.remove(worker)
                    worker = _Worker()
                    workers.append(worker)
                if isinstance(told, tuple):
                    on_frame(number, *told)
                    continue
                on_outcome(number, told)
                del busy[connection]
                if waiting:
                    begin(worker)
    finally:
        for worker in workers:
            worker.stop()


def _work(connection: Connection) -> None:
    """Do what is asked for until nobody asks any more."""
    try:
        while True:
            task = connection.recv()
            connection.send(run_task(task, lambda done, total: connection.send((done, total))))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return
