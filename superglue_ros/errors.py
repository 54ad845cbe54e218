"""The errors that are no defects of ours: input to mend, a device that failed."""

from __future__ import annotations


class InputError(ValueError):
    """A file, value or message that cannot be used as it is.

    Its text is one line that names the value and the remedy. Commands print it and exit with 2,
    nodes log it; anything else that is raised is a defect of ours and keeps its traceback.
    """


class DeviceError(RuntimeError):
    """The device could not do the work, for want of memory say; the next call may succeed."""
