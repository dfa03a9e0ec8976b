"""The system model of the paper's Section 3, Eq. 1-31, as pure functions on batched tensors.

Every function accepts tensors of any floating dtype on any device. The last axes are `[..., device, chunk]`, or
`[..., device]` for quantities without a chunk; the result has the broadcast shape. The functions draw no random
numbers and keep no state; `mecpaper.env.game` does both.
"""
