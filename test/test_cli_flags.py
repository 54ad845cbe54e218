"""Flags made from settings."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import pytest

from superglue_ros.cli.flags import Flags, add_flags, check_effect
from superglue_ros.config import Settings, setting
from superglue_ros.errors import InputError


@dataclass(frozen=True)
class Lens(Settings):
    focal_length: float = setting(35.0, "Focal length in mm.", minimum=1, maximum=500)
    blades: int = setting(7, "Blades of the aperture.", minimum=3, maximum=20)
    mount: str = setting("F", "The mount, 100% metal.", choices=("F", "Z"))
    stabilised: bool = setting(True, "Whether it counters shaking.")


@dataclass(frozen=True)
class Mirror(Settings):
    focal_length: float = setting(1000.0, "Focal length in mm.", minimum=200, maximum=4000)
    mount: str = setting("F", "The mount, 100% metal.", choices=("F", "Z"))


LENS = {"lens": Flags(Lens)}
BOTH: dict[str, Flags[Any]] = {
    "lens": Flags(Lens, {"blades": "lens_blades"}),
    "mirror": Flags(Mirror),
}


def parse(flags: dict[str, Flags[Any]], *line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser, flags)
    return parser.parse_args(line)


def help_of(flags: dict[str, Flags[Any]], flag: str) -> str:
    """The help of one flag on a single line."""
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser, flags)
    text = " ".join(parser.format_help().partition("options:")[2].split())
    return text.partition(f"{flag} ")[2].partition(" --")[0]


def test_no_flags_give_the_defaults() -> None:
    assert LENS["lens"].read(parse(LENS)) == Lens()


def test_given_flags_replace_the_defaults_in_their_types() -> None:
    line = ("--focal-length", "50", "--blades", "9", "--mount", "Z", "--no-stabilised")
    config = LENS["lens"].read(parse(LENS, *line))
    assert config == Lens(focal_length=50.0, blades=9, mount="Z", stabilised=False)
    assert isinstance(config.focal_length, float)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("--blades", "2"), "--blades must be in the range 3 to 20, got 2"),
        (("--blades", "x"), "--blades must be of type int, got 'x'"),
        (("--blades", "7.5"), "--blades must be of type int, got '7.5'"),
        (("--focal-length", "nan"), "--focal-length must be in the range 1 to 500, got nan"),
        (("--mount", "K"), "--mount must be one of F, Z, got 'K'"),
    ],
)
def test_unfit_values_are_refused_by_the_name_of_the_flag(
    line: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        LENS["lens"].read(parse(LENS, *line))


def test_the_help_has_description_range_and_default() -> None:
    assert help_of(LENS, "--blades N") == "Blades of the aperture. (3 to 20; default 7)"
    assert help_of(LENS, "--mount MOUNT") == "The mount, 100% metal. (F, Z; default F)"


def test_the_help_names_the_owner_where_flags_differ() -> None:
    assert help_of(BOTH, "--mount MOUNT") == "The mount, 100% metal. (F, Z; default F)"
    assert help_of(BOTH, "--lens-blades N").startswith("lens: Blades of the aperture.")
    assert help_of(BOTH, "--focal-length X") == (
        "lens: Focal length in mm. (1 to 500; default 35.0) "
        "mirror: Focal length in mm. (200 to 4000; default 1000.0)"
    )


def test_a_shared_flag_is_checked_for_the_one_that_reads_it() -> None:
    arguments = parse(BOTH, "--focal-length", "600")
    assert BOTH["mirror"].read(arguments) == Mirror(focal_length=600)
    with pytest.raises(InputError, match="--focal-length must be in the range 1 to 500"):
        BOTH["lens"].read(arguments)


def test_a_renamed_flag_sets_its_setting() -> None:
    assert BOTH["lens"].read(parse(BOTH, "--lens-blades", "5")) == Lens(blades=5)


def test_a_flag_without_effect_is_refused() -> None:
    arguments = parse(BOTH, "--lens-blades", "5")
    check_effect(arguments, BOTH, ("lens",))
    with pytest.raises(InputError, match="--lens-blades belongs to lens and has no effect on mirr"):
        check_effect(arguments, BOTH, ("mirror",))
