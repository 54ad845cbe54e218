"""The finished output of a run: a bag, and beside it in its folder what else was asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.messages import MATCHES
from superglue_ros.bag.writer import BagWriter
from superglue_ros.messages import matches_from_message
from superglue_ros.npz import write_npz

CSV_FILE = "matches.csv"
NPZ_FOLDER = "pairs"
_COLUMNS = ("pair", "stamp0", "stamp1", "x0", "y0", "x1", "y1", "confidence")


def export(bags: Sequence[Path], folder: Path, *, npz: bool, csv_file: bool) -> None:
    """Join the bags of the parts of a run.

    Args:
        bags: The bags, in order.
        folder: The bag to make; it must not exist yet.
        npz: Whether to write pairs/000000.npz and so on, too.
        csv_file: Whether to write matches.csv, too.
    """
    with ExitStack() as stack:
        output = stack.enter_context(BagWriter(folder))
        writers: list[Callable[[int, Any], None]] = []
        if npz:
            writers.append(lambda number, message: _write_npz(folder, number, message))
        if csv_file:
            file = stack.enter_context((folder / CSV_FILE).open("w", newline=""))
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(_COLUMNS)
            writers.append(lambda number, message: rows.writerows(_rows(number, message)))
        number = 0
        for bag in bags:
            with Reader(bag) as reader:
                for connection, time_ns, data in reader.messages():
                    output.write(connection.topic, connection.msgtype, data, time_ns)
                    if connection.msgtype == MATCHES and writers:
                        message = message_types().deserialize_cdr(data, MATCHES)
                        for write in writers:
                            write(number, message)
                        number += 1


def _write_npz(folder: Path, number: int, message: Any) -> None:
    write_npz(folder / NPZ_FOLDER / f"{number:06}.npz", *matches_from_message(message))


def _rows(number: int, message: Any) -> list[tuple[Any, ...]]:
    features0, features1, matches = matches_from_message(message)
    index0, index1 = matches.pairs.T
    stamps = [
        f"{header.stamp.sec}.{header.stamp.nanosec:09}"
        for header in (message.header0, message.header1)
    ]
    values = np.column_stack(
        [features0.keypoints[index0], features1.keypoints[index1], matches.confidences]
    )
    return [(number, *stamps, *(f"{value:.9g}" for value in row)) for row in values]
