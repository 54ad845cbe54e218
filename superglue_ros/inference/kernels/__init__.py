"""Triton kernels for CUDA devices; Triton comes with PyTorch for CUDA."""

from importlib.util import find_spec

TRITON = find_spec("triton") is not None
"""Whether the kernels can run where there is a CUDA device."""
