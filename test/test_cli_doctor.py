"""superglue-ros doctor."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import superglue_ros
from superglue_ros.cli import doctor
from superglue_ros.cli.main import main
from superglue_ros.weights import SHIPPED

ROOT = str(Path(superglue_ros.__file__).parent.parent)


def lines(printed: str) -> dict[str, str]:
    """Each finding by its name, its lines joined."""
    found: dict[str, str] = {}
    name = ""
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if cells:
            name = cells[0] or name
            found[name] = f"{found.get(name, '')} {' '.join(cells[1:])}".strip()
    return found


def test_this_installation_is_examined(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["doctor"])
    found = lines(capsys.readouterr().out)
    assert set(found) == {check.what for check in doctor.CHECKS}
    for name in ("Python", "PyTorch", "NumPy", "OpenCV", "weights"):
        assert found[name].startswith("ok")
    has_ros = importlib.util.find_spec("rclpy") is not None
    assert found["rclpy"].startswith("ok" if has_ros else "warn")


def test_a_failure_gives_status_1_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = dataclasses.replace(SHIPPED["superglue"], sha256="0" * 64)
    monkeypatch.setitem(SHIPPED, "superglue", changed)
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    assert end.value.code == 1
    weights = lines(capsys.readouterr().out)["weights"]
    assert weights.startswith("fail InputError: weights 'superglue'")
    assert "install superglue_ros again" in weights


@pytest.mark.parametrize(
    ("error", "status"), [(doctor.Lack("none here"), "warn"), (OSError("broken [/red]"), "fail")]
)
def test_a_lack_is_a_warning_and_an_error_a_failure(error: Exception, status: str) -> None:
    def probe() -> str:
        raise error

    found = doctor.Check("it", probe, "mend it").run()
    assert (found[0], found[2]) == (status, "mend it")
    assert str(error) in found[1]


def test_a_rerun_that_is_too_old_is_a_warning_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("rerun")
    monkeypatch.setattr("rerun.__version__", "0.30.0")
    (check,) = (one for one in doctor.CHECKS if one.what == "Rerun")
    status, found, remedy = check.run()
    assert (status, remedy) == ("warn", "pip install --upgrade rerun-sdk")
    assert "0.30.0" in found


def test_without_ros_and_torch_every_line_is_still_there() -> None:
    program = f"""
import sys; sys.path.insert(0, {ROOT!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "rclpy"):
            raise ModuleNotFoundError(f"{{name}} is refused here")
sys.meta_path.insert(0, Refuse())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "rclpy" else find_spec(name)
from superglue_ros.cli.main import main
main(["doctor"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == ""
    found = lines(done.stdout)
    assert set(found) == {check.what for check in doctor.CHECKS}
    assert found["PyTorch"].startswith("fail")
    assert "pip install torch" in found["PyTorch"]
    for name in ("CUDA", "ROS 2", "rclpy", "messages"):
        assert found[name].startswith("warn"), name
