"""The loop that every learning stage runs in: seeded, resumable, averaged, logged."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from superglue_ros.errors import InputError
from superglue_ros.lab.training.checkpoint import State, read_checkpoint, write_checkpoint
from superglue_ros.lab.training.config import LoopConfig
from superglue_ros.lab.training.history import Entry, History
from superglue_ros.lab.training.progress import TrainingProgress

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
FINAL_RATE_SHARE = 0.01
MEASURE_FROM, MEASURE_TO = 20, 60
"""Steps of a run between which the machine's rate is measured."""

STEPS_SHARE = 0.92
"""Of the time that the steps are to fill; validations and checkpoints take the rest."""

_SEED_STRIDE = 1_000_003
"""Seeds of successive steps are this far apart from those of the next `seed`."""


ParameterGroup = dict[str, Any]


def one_rate(network: nn.Module) -> list[ParameterGroup]:
    """All parameters in one group, at the learning rate itself."""
    return [{"params": list(network.parameters()), "rate": 1.0}]


class Stage(Protocol):
    """What a stage has to offer to the loop."""

    name: str
    device: torch.device

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """What is learned, each group with the factor on the learning rate as its `rate`."""

    def loss(self, network: nn.Module, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one batch made with the generator, and figures for the log."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on held-out data, from the averaged network in evaluation mode."""


class Loop:
    """Runs a stage from where its folder says it is.

    Args:
        stage: The stage.
        config: Steps, rates and the rest.
        folder: Holds the checkpoint and the log.
    """

    def __init__(self, stage: Stage, config: LoopConfig, folder: Path) -> None:
        """Take up the checkpoint, if there is one."""
        self.stage, self.config, self.folder = stage, config, folder
        self._network = stage.network.to(stage.device)
        self.averaged = copy.deepcopy(self._network).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            stage.parameter_groups(self._network), weight_decay=config.weight_decay
        )
        self.step = 0
        self.steps = 0 if config.fill_minutes else config.steps
        """In all; 0 as long as it is not known."""
        self._begin, self._measured_from = 0, 0.0
        state = read_checkpoint(folder / CHECKPOINT, stage.device)
        if state is not None:
            self._restore(state)
        self.history = History(folder / LOG, self.step)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.steps <= self.step

    def run(self) -> bool:
        """Learn until the steps are done or the time is up.

        Returns:
            Whether the steps are done.
        """
        began = saved = time.monotonic()
        self._begin = self.step
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.stage.device))
        with TrainingProgress(self.stage.name, self.steps, self.step) as progress:
            while not self.finished and not self._time_is_up(began):
                for name, value in self._take_step().items():
                    sums[name] = sums[name] + value
                if not self.steps:
                    self._plan(progress)
                if self.step % self.config.log_every == 0:
                    self._log(sums, progress)
                    sums.clear()
                if self.step % self.config.validate_every == 0 or self.finished:
                    self._validate(progress)
                if time.monotonic() - saved >= self.config.checkpoint_every_sec:
                    self.save()
                    saved = time.monotonic()
                progress.update(self.step)
        self.save()
        return self.finished

    def save(self) -> None:
        """Write the checkpoint."""
        state: State = {
            "step": self.step,
            "steps": self.steps,
            "network": self._network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        write_checkpoint(self.folder / CHECKPOINT, state)

    def _restore(self, state: State) -> None:
        self.step = state["step"]
        if self.config.fill_minutes:
            self.steps = state["steps"]
        try:
            self._network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self._optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{self.folder / CHECKPOINT} is of other settings ({str(error).splitlines()[0]}): "
                "take those, another output folder, or remove it to begin anew"
            ) from error

    def _time_is_up(self, began: float) -> bool:
        return 0 < self.config.minutes * 60 <= time.monotonic() - began

    def _plan(self, progress: TrainingProgress) -> None:
        """Measure the rate between two early steps and set the number of steps by it."""
        done = self.step - self._begin
        if done not in (MEASURE_FROM, MEASURE_TO):
            return
        if self.stage.device.type == "cuda":
            torch.cuda.synchronize(self.stage.device)
        if done == MEASURE_FROM:
            self._measured_from = time.monotonic()
            return
        took = (time.monotonic() - self._measured_from) / (MEASURE_TO - MEASURE_FROM)
        fitting = STEPS_SHARE * self.config.fill_minutes * 60 / took
        self.steps = max(self.step + 1, round(fitting))
        progress.set_total(self.steps)

    def _take_step(self) -> dict[str, Tensor]:
        # Seeded by the step, so that a resumed run draws what an uninterrupted one would
        generator = Generator(self.stage.device)
        generator.manual_seed(self.config.seed * _SEED_STRIDE + self.step)
        for group in self._optimizer.param_groups:
            share = rate_share(self.step, self.steps, self.config)
            group["lr"] = self.config.learning_rate * group["rate"] * share
        self._network.train()
        loss, figures = self.stage.loss(self._network, generator)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), self.config.max_gradient_norm)
        self._optimizer.step()
        self.step += 1
        self._average()
        counted = {"steps": torch.ones_like(loss), "loss": loss, **figures}
        return {name: value.detach() for name, value in counted.items()}

    @torch.no_grad()
    def _average(self) -> None:
        # In the beginning the average must forget the starting point faster than later on
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        averaged, current = self.averaged.state_dict(), self._network.state_dict()
        for name, value in averaged.items():
            if value.is_floating_point():
                value.lerp_(current[name].to(value.dtype), 1 - decay)
            else:
                value.copy_(current[name])

    def _log(self, sums: dict[str, Tensor], progress: TrainingProgress) -> None:
        steps = float(sums.pop("steps"))  # fewer than usual after a resumption
        figures = {name: float(value) / steps for name, value in sums.items()}
        self._write(figures)
        progress.show(figures)

    def _validate(self, progress: TrainingProgress) -> None:
        with torch.no_grad():
            figures = self.stage.validate(self.averaged)
        self._write({f"validation {name}": value for name, value in figures.items()})
        progress.say(self.step, figures)

    def _write(self, figures: Entry) -> None:
        self.history.add({"step": float(self.step), **figures})


def rate_share(step: int, steps: int, config: LoopConfig) -> float:
    """The share of the peak learning rate at a step: warm-up, plateau, cosine decay."""
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    begin = config.constant_share * steps
    done = max(0.0, (step - begin) / max(1.0, steps - begin)) if steps else 0.0
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, done))
    return warmup * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * cosine)
