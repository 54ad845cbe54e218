"""The error for input that the caller has to mend."""

from __future__ import annotations


class InputError(ValueError):
    """A file, value or message that cannot be used as it is.

    Its text is one line that names the value and the remedy. Commands print it and exit with 2,
    nodes log it; anything else that is raised is a defect of ours and keeps its traceback.
    """
