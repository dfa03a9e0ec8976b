"""Sections of params.yaml on learning: the shared one, and one for each algorithm."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from mecpaper.config.fields import (
    Count,
    Discount,
    Factor,
    Few,
    Fraction,
    Section,
    Share,
    Size,
    Small,
    Std,
    Weight,
    check_ordered,
)


class LearningConfig(Section):
    """Settings that all learners share; an algorithm's own section may change them under the key `learning`."""

    hidden: Annotated[list[Size], Field(min_length=3, max_length=3)]
    actor_learning_rate: Share
    critic_learning_rate: Share
    rate_hold: Discount
    rate_last: Share
    gradient_norm: Factor
    reward_discount: Discount
    polyak: Share
    batch: Size
    buffer: Count
    reward_scale: Factor
    saturation_penalty: Weight
    saturation_last: Weight
    saturation_fall: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    warmup_fraction: Discount
    warmup: Literal["policy", "uniform"]
    critic_first_fraction: Discount
    noise: Annotated[list[Weight], Field(min_length=2, max_length=2)]
    noise_until: Share
    noise_free_share: Discount
    noise_correlation: Fraction
    actor_output_start: Factor
    permute_chunks: bool
    actor: Literal["per_agent", "shared"]
    critic: Literal["pooled", "channel", "separate", "joint"]
    reward: Literal["own", "team"]
    credit: Literal["printed", "equal_sum", "weighted"]
    precision: Literal["auto", "float32", "bfloat16"]

    @model_validator(mode="after")
    def _consistent(self) -> LearningConfig:
        if self.buffer < self.batch:
            raise ValueError(f"buffer = {self.buffer}: at least batch = {self.batch}")
        start, end = self.saturation_fall
        if start >= end:
            raise ValueError(f"saturation_fall = [{start}, {end}]: the first must be below the second")
        if self.critic == "channel" and self.reward == "team":
            raise ValueError("critic = channel: with reward = team, one of pooled, separate, joint is required")
        return self


class OwnConfig(Section):
    """An algorithm's own section: its settings, and its changes to `learning`."""

    PER_RUN: ClassVar[frozenset[str]] = frozenset()
    """Keys in which the runs of one batched program may differ."""

    learning: dict[str, Any]


class MultiplierConfig(OwnConfig):
    """Settings of a Lagrange multiplier (Eq. 41)."""

    multiplier_rate: Weight
    multiplier_max: Factor
    multipliers: Literal["team", "device"]
    multiplier_rule: Literal["formula", "text"]
    multiplier_step: Literal["slot", "episode"]


class CPOMADDPGConfig(MultiplierConfig):
    """Settings of CPO-MADDPG (Section 4.2)."""

    PER_RUN = frozenset({"multiplier_fixed"})

    multiplier_fixed: Weight | None
    cost_discount: Discount
    critic_heads: Literal["two_headed", "linear_heads", "multi_output", "separate"]
    head_hidden: Size
    gradient: Literal["paper", "lagrangian", "bounded"]
    gradient_epsilon: Small
    gated: bool
    replay: Literal["ca_per", "reward_per", "uniform"]
    priority_errors: Literal["normalised", "raw"]
    priority_exponent: Fraction
    priority_epsilon: Small
    normalisation_delta: Small
    importance_exponent: Annotated[list[Fraction], Field(min_length=2, max_length=2)]


class LMADDPGConfig(MultiplierConfig):
    """Settings of LMADDPG: those of the multiplier."""


class MADDPGConfig(OwnConfig):
    """Settings of MADDPG: only the shared ones."""


class MATD3Config(OwnConfig):
    """Settings of MATD3 (Section 5.1.5)."""

    target_noise: Weight
    target_noise_max: Weight
    policy_delay: Few


class MAPPOConfig(OwnConfig):
    """Settings of MAPPO (Section 5.1.4)."""

    clip: Annotated[float, Field(gt=0, lt=1)]
    advantage: Literal["team", "own"]
    advantage_decay: Fraction
    value_decay: Discount
    entropy: Weight
    std: Std
    std_range: Annotated[list[Std], Field(min_length=2, max_length=2)]
    minibatch: Count
    epochs: Few

    @model_validator(mode="after")
    def _consistent(self) -> MAPPOConfig:
        check_ordered(self, "std_range")
        minimum, maximum = self.std_range
        if not minimum <= self.std <= maximum:
            raise ValueError(f"std = {self.std}: within std_range = [{minimum}, {maximum}]")
        return self


class UsersConfig(OwnConfig):
    """Settings of a user's own learner: any keys, which its class checks. The section may be missing."""

    model_config = ConfigDict(extra="allow")

    learning: dict[str, Any] = Field(default_factory=dict)


class RandomConfig(OwnConfig):
    """Settings of the Random baseline: none of its own."""
