"""From a module to an ONNX file."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

OPSET = 17
"""The oldest opset that has all that is needed, so that the most engines can read it."""

Axes = Mapping[str, Mapping[int, str]]


def to_onnx(
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Axes,
) -> bytes:
    """Export a module in evaluation mode.

    Args:
        module: The module.
        example: Its positional arguments, of any size that it accepts.
        inputs: Names of the arguments.
        outputs: Names of the results.
        axes: For inputs and outputs by name the dimensions that vary, with a name for each.

    Returns:
        The content of the file.
    """
    export: Any = torch.onnx.export
    options = {}
    if "dynamo" in inspect.signature(export).parameters:
        # The newer exporter takes ten times as long and needs one more package
        options["dynamo"] = False
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: what it takes for constant is constant
        export(
            module.eval(),
            tuple(example),
            buffer,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(of_one) for name, of_one in axes.items()},
            opset_version=OPSET,
            **options,
        )
    return buffer.getvalue()
