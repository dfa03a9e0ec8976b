"""The system model of the paper's Section 3: pure functions on batched tensors, Eq 1-31.

Every function takes tensors of any floating dtype on any device whose last axes are `[..., device, chunk]`
(or `[..., device]` where there is nothing per chunk) and returns tensors of the broadcast shape. Nothing
here draws random numbers or keeps state; `mecpaper.env.game` does both.
"""
