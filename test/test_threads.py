"""Threads that wait leave their core, from the first import of PyTorch on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from superglue_ros.threads import share_cores

ROOT = Path(__file__).parent.parent


def test_waiting_threads_sleep_unless_the_user_wants_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["KMP_BLOCKTIME"] == "0"


def test_an_executable_sets_it_before_pytorch_is_there(tmp_path: Path) -> None:
    (tmp_path / "module_of_a_node.py").write_text(
        "import os, sys\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n"
        "main = lambda: 0\n"
    )
    template = (ROOT / "cmake" / "executable.in").read_text()
    program = template.replace("@module@", "module_of_a_node")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["passive", "False"]
