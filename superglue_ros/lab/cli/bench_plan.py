"""The flags of `superglue-ros bench` that say under which conditions is measured."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from superglue_ros.cli.flags import flag_of
from superglue_ros.config import SuperPointConfig
from superglue_ros.errors import InputError
from superglue_ros.lab.benchmark.plan import KINDS, Plan

_KNOWN = {known.name: known for known in SuperPointConfig.describe()}


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    parser.add_argument("--short", action="store_true", help="less of everything")
    parser.add_argument(
        "--keypoints",
        type=_keypoints,
        nargs="+",
        metavar="N",
        help=_help("keypoints", "keypoints of an image"),
    )
    parser.add_argument(
        "--sizes",
        type=_size,
        nargs="+",
        metavar="WxH",
        help=_help("sizes", "sizes of the images in pixels"),
    )
    parser.add_argument(
        "--batches",
        type=_positive,
        nargs="+",
        metavar="N",
        help=_help(
            "batches", "images extracted from at once; with --plot cameras too, with --bag frames"
        ),
    )
    parser.add_argument(
        "--devices", nargs="+", metavar="DEVICE", help=_help("devices", "auto, cpu, cuda or cuda:N")
    )
    for name in ("engine", "precision"):
        parser.add_argument(
            f"--{name}s",
            nargs="+",
            choices=_KNOWN[name].choices,
            metavar=name.upper(),
            help=_help(f"{name}s", _KNOWN[name].range_text),
        )
    parser.add_argument(
        "--repeats",
        type=_positive,
        metavar="N",
        help=_help("repeats", "runs of each; with --ros stereo pairs, with --bag rounds over it"),
    )
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure the other implementations too (default yes)",
    )


def read_plan(arguments: argparse.Namespace, kind: str) -> Plan:
    """What to measure, by the flags and where they say nothing by the kind.

    Raises:
        InputError: A flag has no effect.
    """
    known = KINDS[kind]
    how = f"with --{kind}" if kind in vars(arguments) else "here"
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in (field.name for field in dataclasses.fields(Plan))
        if (value := getattr(arguments, name)) is not None
    }
    for name, value in given.items():
        if name in known.without:
            raise InputError(f"{flag_of(name)} has no effect {how}; leave it out")
        if name in known.one_each and len(value) > 1:
            raise InputError(f"{flag_of(name)} takes one value {how}, got {' '.join(value)}")
    return dataclasses.replace(known.short if arguments.short else known.plan, **given)


def _help(name: str, text: str) -> str:
    """A help text with what is measured where the flag is not given."""
    kinds: dict[str, list[str]] = {}
    for kind, known in KINDS.items():
        if name not in known.without:
            values = getattr(known.plan, name)
            words = values if isinstance(values, tuple) else (values,)
            shown = " ".join(
                "x".join(map(str, w)) if isinstance(w, tuple) else str(w) for w in words
            )
            kinds.setdefault(shown, []).append(f"--{kind}")
    first, *others = kinds
    rest = "".join(f"; {', '.join(kinds[shown])}: {shown}" for shown in others)
    return f"{text} (default {first}{rest})"


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _keypoints(text: str) -> int:
    try:
        return int(_KNOWN["max_keypoints"].check(_positive(text)))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, 640x480 say")
    size = (int(width), int(height))
    if any(side == 0 or side % 8 for side in size):
        raise argparse.ArgumentTypeError(f"{text}: the sides must be multiples of 8 pixels")
    return size
