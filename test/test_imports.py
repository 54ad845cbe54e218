"""Which part of the package may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import superglue_ros

PACKAGE = Path(superglue_ros.__file__).parent
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
# The folder is the generator's where the package is installed.
OWN_FILES = [path for path in FILES if path.parts[0] not in ("msg", "srv")]

ROS = ("rclpy", "superglue_ros.msg", "superglue_ros.srv")
ROS_PACKAGES = ("_interfaces", "_msgs")
ROS_FOLDERS = (("nodes",), ("lab", "nodes"))
ABOVE_THE_CORE = ("nodes", "cli", "bag", "lab")
CORE_FILES = [path for path in OWN_FILES if path.parts[0] not in ABOVE_THE_CORE]


def imported_modules(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports, anywhere in it, in full."""
    package = ("superglue_ros", *path.parent.parts)
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_under(module: str, roots: tuple[str, ...]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def test_the_files_are_found() -> None:
    assert Path("networks/superglue.py") in OWN_FILES
    assert "superglue_ros.networks" in imported_modules(Path("weights/loading.py"))


def test_only_the_nodes_import_ros() -> None:
    found = [
        path
        for path in OWN_FILES
        for module in imported_modules(path)
        if is_under(module, ROS) or module.split(".")[0].endswith(ROS_PACKAGES)
    ]
    allowed = [
        path for path in found if path.parts[:1] in ROS_FOLDERS or path.parts[:2] in ROS_FOLDERS
    ]
    assert allowed
    assert found == allowed


def test_nothing_outside_the_laboratory_imports_it() -> None:
    found = {
        path
        for path in OWN_FILES
        for module in imported_modules(path)
        if is_under(module, ("superglue_ros.lab",))
    }
    assert found
    assert not [path for path in found if path.parts[0] != "lab"]


def test_the_core_imports_nothing_above_it() -> None:
    roots = tuple(f"superglue_ros.{part}" for part in ABOVE_THE_CORE)
    found = [
        f"{path} imports {module}"
        for path in CORE_FILES
        for module in imported_modules(path)
        if is_under(module, roots)
    ]
    assert not found


def test_the_networks_import_nothing_of_the_package_but_themselves() -> None:
    found = [
        f"{path} imports {module}"
        for path in OWN_FILES
        for module in imported_modules(path)
        if path.parts[0] == "networks" and is_under(module, ("superglue_ros",))
    ]
    assert found
    assert all(" superglue_ros.networks" in line for line in found)


def in_a_new_interpreter(code: str) -> str:
    """What a program prints that sees the same package and nothing imported yet."""
    # Put in by hand: PYTHONPATH and the current folder may both be unlike pytest's.
    path = [str(PACKAGE.parent), *sys.path]
    program = f"import sys; sys.path[:] = {path!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


REFUSE_ROS = """
class RefuseRos:
    def find_spec(self, name, path=None, target=None):
        root = name.split(".")[0]
        if root == "rclpy" or root.endswith(("_msgs", "_interfaces")) or name in (
            "superglue_ros.msg", "superglue_ros.srv", "superglue_ros.nodes"
        ):
            raise ModuleNotFoundError(f"{name} is refused here")
sys.meta_path.insert(0, RefuseRos())
"""


def test_the_core_works_where_there_is_no_ros() -> None:
    modules = [
        ".".join(("superglue_ros", *path.with_suffix("").parts)).removesuffix(".__init__")
        for path in CORE_FILES
    ]
    code = f"""
import importlib
for name in {modules!r}:
    importlib.import_module(name)
import numpy as np
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
extractor, matcher = SuperPointExtractor(max_keypoints=8), SuperGlueMatcher()
image = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
features0, features1 = extractor.extract_batch([image, image])
matches = matcher.match(features0, features1)
print(len(features0), (matches.matches0 == np.arange(8)).all())
"""
    assert in_a_new_interpreter(REFUSE_ROS + code) == "8 True"


def test_the_package_itself_imports_neither_torch_nor_rclpy() -> None:
    """The message generator's bare package and the settings must be there at once."""
    code = (
        "import superglue_ros, superglue_ros.config, superglue_ros.features\n"
        "print([name for name in ('torch', 'rclpy', 'cv2') if name in sys.modules])"
    )
    assert in_a_new_interpreter(code) == "[]"


def test_messages_and_pictures_of_a_geometry_do_without_poselib() -> None:
    code = (
        "import superglue_ros.messages, superglue_ros.drawing, superglue_ros.geometry as geometry\n"
        "print('poselib' in sys.modules)\n"
        "geometry.estimate_two_view_geometry\n"
        "print('poselib' in sys.modules)"
    )
    assert in_a_new_interpreter(code).split() == ["False", "True"]
