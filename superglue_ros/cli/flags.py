"""Command line flags made from the settings of superglue_ros.config.

A flag is the setting's name with hyphens. A flag that is not given leaves no trace in the parsed
arguments, so that the defaults stay where they are declared.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from superglue_ros.config import Setting, Settings, Value
from superglue_ros.errors import InputError

Config = TypeVar("Config", bound=Settings)

_METAVARS: dict[type, str] = {int: "N", float: "X"}


@dataclass(frozen=True)
class Flags(Generic[Config]):
    """The flags of one configuration.

    Attributes:
        config: The configuration.
        renamed: Other names for some of its settings, where those of two configurations meet.
        names: The settings that are flags, by their own names; empty for all.
    """

    config: type[Config]
    renamed: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def only(self, names: tuple[str, ...]) -> Flags[Config]:
        """The flags of these settings alone."""
        return replace(self, names=names)

    def settings(self) -> dict[str, Setting]:
        """The settings by the name that is theirs on the command line."""
        return {
            self.renamed.get(known.name, known.name): known
            for known in self.config.describe()
            if known.name in (self.names or (known.name,))
        }

    def read(self, arguments: argparse.Namespace) -> Config:
        """The configuration that the given flags make, over its defaults.

        Raises:
            InputError: A value has the wrong type or is out of range; the text names the flag.
        """
        given: dict[str, Value] = {}
        for name, known in self.settings().items():
            if name in arguments:
                value = _converted(getattr(arguments, name), known)
                given[known.name] = dataclasses.replace(known, name=flag_of(name)).check(value)
        return self.config(**given)


def add_flags(parser: argparse._ActionsContainer, flags: Mapping[str, Flags[Any]]) -> None:
    """Add the flags of several configurations; one that several share is added once.

    Args:
        parser: A parser or a group of one.
        flags: The flags by the name of what they belong to. The help names it where there are
            several and the flag is not the same for all.
    """
    owners: dict[str, dict[str, Setting]] = {}
    for owner, of_owner in flags.items():
        for name, known in of_owner.settings().items():
            owners.setdefault(name, {})[owner] = known
    for name, settings in owners.items():
        options: dict[str, Any] = {"default": argparse.SUPPRESS}
        first = next(iter(settings.values()))
        if isinstance(first.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = _METAVARS.get(type(first.default), first.name.upper())
        text = _help(settings, everywhere=len(settings) == len(flags))
        parser.add_argument(flag_of(name), help=text, **options)


def check_effect(
    arguments: argparse.Namespace, flags: Mapping[str, Flags[Any]], chosen: tuple[str, ...]
) -> None:
    """Raise InputError where a flag was given that belongs to none of the chosen."""
    effective = {name for owner in chosen for name in flags[owner].settings()}
    for owner, of_owner in flags.items():
        for name in of_owner.settings():
            if name in arguments and name not in effective:
                raise InputError(
                    f"{flag_of(name)} belongs to {owner} and has no effect on "
                    f"{' and '.join(chosen)}; leave it out"
                )


def flag_of(name: str) -> str:
    """The flag of a setting's name."""
    return "--" + name.replace("_", "-")


def _help(settings: Mapping[str, Setting], *, everywhere: bool) -> str:
    """Owners where it is not everybody's, description, accepted values, default."""
    owners_of: dict[str, list[str]] = {}
    for owner, known in settings.items():
        accepted = f"{known.range_text}; " if known.range_text else ""
        text = f"{known.description} ({accepted}default {known.default})"
        owners_of.setdefault(text, []).append(owner)
    if everywhere and len(owners_of) == 1:
        parts = list(owners_of)
    else:
        parts = [f"{', '.join(owners)}: {text}" for text, owners in owners_of.items()]
    return " ".join(parts).replace("%", "%%")


def _converted(value: str | bool, known: Setting) -> Value:
    """A flag's text as a number where the setting is one and the text can be read as one."""
    if isinstance(value, bool) or type(known.default) not in _METAVARS:
        return value
    try:
        return type(known.default)(value)
    except ValueError:
        return value
