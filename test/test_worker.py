"""The thread that nodes work in: order, replacement, back-pressure, end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from superglue_ros.nodes.worker import Worker

TIMEOUT_SEC = 20.0

NEWER = "a newer frame came first"
STOPPED = "the node was deactivated"

Drop = tuple[object, str]


class GatedProcess:
    """Work that lasts until the test lets it pass."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.done: list[object] = []
        self._changed = threading.Condition()
        self._passes = 0

    def __call__(self, item: object) -> None:
        with self._changed:
            self.begun.append(item)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._passes > 0, TIMEOUT_SEC)
            self._passes -= 1
            self.done.append(item)
            self._changed.notify_all()

    def let_pass(self, count: int = 1) -> None:
        with self._changed:
            self._passes += count
            self._changed.notify_all()

    def wait_until_begun(self, *items: object) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.begun == list(items), TIMEOUT_SEC)

    def wait_until_done(self, *items: object) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.done == list(items), TIMEOUT_SEC)

    def wait_until_last_done(self, item: object) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.done[-1:] == [item], TIMEOUT_SEC)


@pytest.fixture
def process() -> Iterator[GatedProcess]:
    gated = GatedProcess()
    yield gated
    gated.let_pass(1000)


@pytest.fixture
def dropped() -> list[Drop]:
    return []


@pytest.fixture
def live(process: GatedProcess, dropped: list[Drop]) -> Iterator[Worker[object]]:
    worker = Worker(process, keep_every_item=False, on_dropped=lambda *drop: dropped.append(drop))
    yield worker
    process.let_pass(1000)
    worker.stop(TIMEOUT_SEC)


@pytest.fixture
def keeping(process: GatedProcess, dropped: list[Drop]) -> Iterator[Worker[object]]:
    worker = Worker(process, keep_every_item=True, on_dropped=lambda *drop: dropped.append(drop))
    yield worker
    process.let_pass(1000)
    worker.stop(TIMEOUT_SEC)


def test_an_idle_worker_takes_each_item_as_it_comes(
    live: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    for item in range(3):
        live.put(item)
        process.let_pass()
        process.wait_until_done(*range(item + 1))
    assert dropped == []


def test_live_the_newest_of_the_waiting_items_wins(
    live: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    live.put("in work")
    process.wait_until_begun("in work")
    for item in ("old", "newer", "newest"):
        live.put(item)
    process.let_pass(2)
    process.wait_until_done("in work", "newest")
    assert dropped == [("old", NEWER), ("newer", NEWER)]


def test_live_each_item_is_either_done_or_reported_as_dropped(
    live: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    process.let_pass(1000)
    for item in range(500):
        live.put(item)
    process.wait_until_last_done(499)
    assert sorted([*process.done, *(item for item, _ in dropped)]) == list(range(500))
    assert process.done == sorted(process.done)


def test_where_every_item_counts_the_sender_waits_and_the_order_is_kept(
    keeping: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    sent: list[int] = []

    def send() -> None:
        for item in range(5):
            keeping.put(item)
            sent.append(item)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    process.wait_until_begun(0)
    sender.join(0.2)
    assert sender.is_alive()  # one in work, one waiting, the third has no room
    assert len(sent) <= 2
    process.let_pass(5)
    process.wait_until_done(0, 1, 2, 3, 4)
    sender.join(TIMEOUT_SEC)
    assert not sender.is_alive()
    assert dropped == []


def test_stop_lets_the_item_in_work_end_and_drops_the_waiting_one(
    live: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    live.put("in work")
    process.wait_until_begun("in work")
    live.put("waiting")
    assert not live.stop(timeout_sec=0.05)
    assert dropped == [("waiting", STOPPED)]
    process.let_pass(2)
    assert live.stop(TIMEOUT_SEC)
    assert process.done == ["in work"]


def test_stop_lets_a_waiting_sender_go_and_reports_its_item(
    keeping: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    keeping.put("in work")
    process.wait_until_begun("in work")
    keeping.put("waiting")
    sender = threading.Thread(target=keeping.put, args=["no room"], daemon=True)
    sender.start()
    keeping.stop(timeout_sec=0.05)
    sender.join(TIMEOUT_SEC)
    assert not sender.is_alive()
    assert sorted(dropped) == [("no room", STOPPED), ("waiting", STOPPED)]


def test_an_item_that_comes_after_the_stop_is_reported(
    live: Worker[object], process: GatedProcess, dropped: list[Drop]
) -> None:
    assert live.stop(TIMEOUT_SEC)
    live.put("late")
    assert process.begun == []
    assert dropped == [("late", STOPPED)]


def test_stop_can_be_called_again(live: Worker[object]) -> None:
    assert live.stop(TIMEOUT_SEC)
    assert live.stop(TIMEOUT_SEC)


def test_a_job_runs_in_the_thread_before_the_waiting_item(
    live: Worker[object], process: GatedProcess
) -> None:
    threads: list[tuple[str, list[object]]] = []
    live.put("in work")
    process.wait_until_begun("in work")
    live.put("waiting")
    live.run(lambda: threads.append((threading.current_thread().name, list(process.done))))
    process.let_pass(2)
    process.wait_until_done("in work", "waiting")
    assert [done for _, done in threads] == [["in work"]]
    assert threads[0][0] != threading.current_thread().name


def test_a_job_that_waits_is_run_before_the_end(
    live: Worker[object], process: GatedProcess
) -> None:
    ran = threading.Event()
    live.put("in work")
    process.wait_until_begun("in work")
    live.run(ran.set)
    assert not live.stop(timeout_sec=0.05)
    process.let_pass()
    assert live.stop(TIMEOUT_SEC)
    assert ran.is_set()


def test_a_worker_is_idle_while_nothing_is_in_work_and_nothing_waits(
    live: Worker[object], process: GatedProcess
) -> None:
    finished = threading.Event()
    assert live.is_idle
    live.put("in work")
    assert not live.is_idle
    process.wait_until_begun("in work")
    assert not live.is_idle
    live.run(finished.set)
    process.let_pass()
    assert finished.wait(TIMEOUT_SEC)
    live.put("next")
    assert not live.is_idle
