"""The algorithms of Section 5.1, one file each, and what they share: networks, replay, optimiser, multiplier.

`act` is the noise-free policy, `play_round` one round of playing and learning, `learn` one update as the paper's
numbered steps, for every run and agent at once. `mecpaper.config.registry` says which algorithms there are.
"""
