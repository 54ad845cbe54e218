"""What a setting is, and the base of the configurations."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from superglue_ros.errors import InputError

Value = bool | int | float | str
Config = TypeVar("Config", bound="Settings")
Part = TypeVar("Part", bound="Settings")

_NUMBERS: dict[type, tuple[type, ...]] = {int: (int,), float: (int, float)}


@dataclass(frozen=True)
class Setting:
    """What is known of one setting.

    Attributes:
        name: The name of the ROS parameter; as a flag, its underscores are hyphens.
        default: The value used where the user gives none; its type is the setting's type.
        description: One sentence with the unit.
        minimum: Smallest accepted number, or None.
        maximum: Largest accepted number, or None.
        choices: The accepted words, or empty where any is accepted.
        live: Whether it may change while a node is running.
    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def range_text(self) -> str:
        """The accepted values in words, empty where all of the type are."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is None and self.maximum is None:
            return ""
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{low} to {high}"

    def check(self, value: Value) -> Value:
        """Return `value` in the setting's type, or raise InputError naming the accepted ones."""
        kind = type(self.default)
        accepted = _NUMBERS.get(kind, (kind,))
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"{self.name} must be of type {kind.__name__}, got {value!r}")
        value = kind(value)
        if self.choices and value not in self.choices:
            raise InputError(f"{self.name} must be one of {self.range_text}, got {value!r}")
        if isinstance(value, (int, float)) and not self._in_range(value):
            raise InputError(f"{self.name} must be in the range {self.range_text}, got {value!r}")
        return value

    def _in_range(self, value: float) -> bool:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high


def setting(
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that carries its own documentation; see `Setting`."""
    known = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "live": live,
    }
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class Settings:
    """Base of the configurations: values are checked when one is made."""

    def __post_init__(self) -> None:
        """Check each value against its type and range."""
        for known in self.describe():
            checked = known.check(getattr(self, known.name))
            object.__setattr__(self, known.name, checked)

    @classmethod
    def describe(cls) -> tuple[Setting, ...]:
        """The settings of this configuration in their order of declaration."""
        return tuple(Setting(f.name, f.default, **f.metadata) for f in fields(cls))  # type: ignore[arg-type]

    def part(self, config_type: type[Part], **more: Value) -> Part:
        """The settings of another configuration that this one holds, with `more` beside them."""
        shared = {f.name for f in fields(config_type)} & {f.name for f in fields(self)}
        return config_type(**{name: getattr(self, name) for name in shared} | more)

    def changed_part(self, config_type: type[Part]) -> Part:
        """The settings of another configuration that this one holds and that were changed.

        The other configuration keeps its own defaults for what has the default here.
        """
        own = {f.name for f in fields(config_type)}
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name in own and getattr(self, f.name) != f.default
        }
        return config_type(**changed)

    def updated(self: Config, **changes: Value) -> Config:
        """A copy with some values replaced.

        Raises:
            InputError: A name is unknown, or a value has the wrong type or is out of range.
        """
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise InputError(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
        return dataclasses.replace(self, **changes)
