"""The commands of `mecpaper`: own experiments, stored results, stages of the pipeline. No room imports this one."""
