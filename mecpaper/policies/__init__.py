"""Policies to be played: stored actors, controls, the planner, ONNX files."""
