"""Whether a node has had usable input of late, and if not, why."""

from __future__ import annotations

import time

from superglue_ros.nodes.frame_inputs import FrameInputs


class Watch:
    """Notices that there has been no usable input for too long.

    Attributes:
        last_error: Why the last frame that could not be used could not; empty before the first.
    """

    def __init__(self) -> None:
        """Begin to wait."""
        self.last_error = ""
        self._since_sec = time.monotonic()

    def begin_anew(self) -> None:
        """Take note of usable input, or of a new beginning."""
        self._since_sec = time.monotonic()

    def problem(self, inputs: FrameInputs, timeout_sec: float, *, processed: bool) -> str:
        """Why there has been no usable input for too long; empty where there has.

        Args:
            inputs: What frames come from.
            timeout_sec: How long is too long; 0 for never.
            processed: Whether there have ever been frames.
        """
        if timeout_sec == 0 or time.monotonic() - self._since_sec < timeout_sec:
            return ""
        reasons = [inputs.problem(timeout_sec, processed=processed)]
        reasons += [f"last unusable input: {self.last_error}"] if self.last_error else []
        why = "; ".join(filter(None, reasons)) or "what comes makes no frame"
        return f"no usable input for {timeout_sec:g} s: {why}"
