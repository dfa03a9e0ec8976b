"""Policies: stored actors, controls, the planner, export to ONNX."""
