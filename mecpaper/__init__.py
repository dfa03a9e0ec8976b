"""An executable edition of CPO-MADDPG for secure video offloading: system model, algorithms, verdicts."""

__version__ = "1.0.0"
