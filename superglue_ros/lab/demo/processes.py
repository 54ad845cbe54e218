"""The nodes as processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from superglue_ros.config import Value
from superglue_ros.errors import InputError

_GRACE_SEC = 1.0  # for a node to end by itself before it is killed
_LINES_SHOWN = 8


class NodeError(RuntimeError):
    """The nodes did not do their work; the text says which, and why as far as it is known."""


@dataclass(frozen=True)
class NodeCommand:
    """How to start a node.

    Attributes:
        executable: Its name for `ros2 run superglue_ros`.
        namespace: Its namespace, absolute.
        parameters: Its parameters.
    """

    executable: str
    namespace: str
    parameters: Mapping[str, Value]

    def arguments(self) -> list[str]:
        """The command line.

        Raises:
            InputError: There is no such executable.
        """
        arguments = [_find_executable(self.executable), "--ros-args", "-r"]
        arguments.append(f"__ns:={self.namespace}")
        for name, value in self.parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ["-p", f"{name}:={text}"]
        return arguments


class NodeProcesses:
    """Runs nodes while its context is open, and ends all of them with it, within a second or two.

    Args:
        commands: The nodes.
        log_folder: Where each node's output goes, into EXECUTABLE.log.
    """

    def __init__(self, commands: list[NodeCommand], log_folder: Path) -> None:
        """Take the commands; `__enter__` starts them."""
        self._commands = commands
        self._log_folder = log_folder
        self._running: dict[Path, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> NodeProcesses:
        """Start the nodes.

        Raises:
            InputError: An executable is not there.
        """
        lines = [command.arguments() for command in self._commands]
        self._log_folder.mkdir(parents=True, exist_ok=True)
        try:
            for command, line in zip(self._commands, lines, strict=True):
                self._start(line, self._log_folder / f"{command.executable}.log")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the nodes."""
        self._end()

    @property
    def process_ids(self) -> list[int]:
        """Of the nodes, in their order."""
        return [process.pid for process in self._running.values()]

    def check(self) -> None:
        """Raise NodeError where a node has ended."""
        for log, process in self._running.items():
            status = process.poll()
            if status is not None:
                end = f"signal {-status}" if status < 0 else f"status {status}"
                raise NodeError(
                    f"{log.stem} ended with {end}; the end of its output:\n{_last_lines(log)}"
                )

    def _start(self, line: list[str], log: Path) -> None:
        with log.open("wb") as output:
            # In a session of its own: Ctrl-C reaches this process alone, which ends the others
            self._running[log] = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _end(self) -> None:
        for process in self._running.values():
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + _GRACE_SEC
        try:
            for process in self._running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # also where a second Ctrl-C cuts the waiting short
            for process in self._running.values():
                _signal(process, signal.SIGKILL)
                process.wait()


def _last_lines(path: Path) -> str:
    """The last lines of a text file, indented."""
    lines = path.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)


def _find_executable(name: str) -> str:
    """The path of a node's executable, on PATH or where `ros2 run` looks."""
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    folders = [f"{prefix}/lib/superglue_ros" for prefix in prefixes]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))
    if found is None:
        raise InputError(
            f"{name} is not there: build the package with colcon and source install/setup.bash, "
            "or take ./run demo"
        )
    return found
