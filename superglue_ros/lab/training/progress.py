"""Progress of a stage on the terminal: rate, time left, the last figures."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.2f} steps/s")


class TrainingProgress:
    """A progress bar with the figures of the last lines of the log beside it.

    Args:
        name: Name of the stage.
        steps: Steps in all, 0 where it is not yet known.
        step: Steps already done.
    """

    def __init__(self, name: str, steps: int, step: int) -> None:
        """Create the bar; it shows inside a `with` block."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            speed_estimate_period=120,
        )
        self._task = self._progress.add_task(name, total=steps or None, completed=step, figures="")

    def __enter__(self) -> TrainingProgress:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def set_total(self, steps: int) -> None:
        """Say how many steps there are, where it was not known."""
        self._progress.update(self._task, total=steps)

    def update(self, step: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=step)

    def show(self, figures: Mapping[str, float]) -> None:
        """Show figures beside the bar."""
        self._progress.update(self._task, figures=_in_words(figures))

    def say(self, step: int, figures: Mapping[str, float]) -> None:
        """Print figures as a line that stays."""
        self._progress.console.print(f"step {step}: {_in_words(figures)}", highlight=False)


def _in_words(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
