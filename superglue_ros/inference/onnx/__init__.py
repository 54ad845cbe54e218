"""The networks as ONNX graphs: for ONNX Runtime here, and for other engines elsewhere."""
