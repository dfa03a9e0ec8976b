"""Building blocks of the sections of params.yaml: ranges of numbers, frozen sections, one-line errors."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import PydanticCustomError

# The ranges exceed any real system, but everything computed from them still fits single precision.
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Discount = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e3)]
Factor = Annotated[float, Field(gt=0, le=1e3)]
Small = Annotated[float, Field(ge=1e-12, le=1)]
FrameRate = Annotated[float, Field(ge=1e-2, le=1e3)]
Resolution = Annotated[float, Field(ge=1, le=1e5)]
Power = Annotated[float, Field(ge=1e-6, le=1e3)]
Frequency = Annotated[float, Field(ge=1e3, le=1e15)]
EnergyCoefficient = Annotated[float, Field(ge=1e-33, le=1e-15)]
Energy = Annotated[float, Field(ge=1e-6, le=1e6)]
Std = Annotated[float, Field(ge=1e-4, le=1e2)]
Gain = Annotated[float, Field(ge=-200, le=60)]
Noise = Annotated[float, Field(ge=1e-15, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Size = Annotated[int, Field(ge=1, le=100_000)]
Few = Annotated[int, Field(ge=1, le=1_000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^\w[\w-]*$", max_length=100)]

ONE, EACH = "<one>", "<each>"
"""Tags of the two forms of a device constant; pydantic includes them in the location of an error."""


def device_constant(kind: Any) -> Any:
    """Make the type of a device constant: one number, or a list that the devices take in turn."""
    forms = Annotated[kind, Tag(ONE)] | Annotated[list[kind], Field(min_length=1), Tag(EACH)]
    return Annotated[forms, Discriminator(lambda value: EACH if isinstance(value, list) else ONE)]


def _distinct(values: list) -> list:
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError("repeated", "no value twice, {value} is repeated", {"value": repr(value)})
    return values


Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]
Names = Annotated[list[str], AfterValidator(_distinct)]


class ConfigError(ValueError):
    """An invalid setting; the message is one line with the key, the value and what is allowed."""


class Section(BaseModel):
    """A section of params.yaml: immutable, without unknown keys or silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def check_ordered(section: Section, *keys: str) -> None:
    """Check that the pairs at these keys are in order. Raises ValueError."""
    for key in keys:
        minimum, maximum = getattr(section, key)
        if minimum > maximum:
            raise ValueError(f"{key} = [{minimum}, {maximum}]: the first must not exceed the second")


def parse(section: type[Section], data: Any, place: str = "") -> Any:
    """Build a section from plain data.

    Args:
        section: the class to build.
        data: the section's content in the YAML file.
        place: dotted key of the section, for messages.
    Returns:
        An instance of `section`.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    try:
        return section.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_one_line(error, place)) from None


_TYPES = {
    "missing": "required, but missing",
    "extra_forbidden": "unknown key",
    "greater_than": "input should be greater than {gt}",
    "greater_than_equal": "input should be greater than or equal to {ge}",
    "less_than": "input should be less than {lt}",
    "less_than_equal": "input should be less than or equal to {le}",
}
"""Messages that replace pydantic's own, by type of error."""


def _one_line(error: ValidationError, place: str) -> str:
    detail = error.errors()[0]
    keys = [str(part) for part in (place, *detail["loc"]) if part not in ("", ONE, EACH, "[key]")]
    key = ".".join(keys)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] in _TYPES:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in detail.get("ctx", {}).items()}
        message = _TYPES[detail["type"]].format(**bounds)
    if detail["type"] == "value_error":
        line = f"{key}.{message}" if key else message
    elif detail["type"] == "missing":
        line = f"{key}: {message}"
    else:
        line = f"{key or 'params'} = {shown(detail['input'])}: {message}"
    return " ".join(line.split())


_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxlist, _brief.maxdict, _brief.maxstring, _brief.maxother = 3, 20, 8, 80, 80


def shown(value: Any) -> str:
    """Format a value for a message, shortened if it is large."""
    try:
        return _brief.repr(value)
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"
