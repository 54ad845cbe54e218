"""Triton kernels for CUDA devices; Triton comes with PyTorch for CUDA."""
