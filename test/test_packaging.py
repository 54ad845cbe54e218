"""Both build routes from a copy of the sources: pip for the core, colcon for the ROS 2 package."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXECUTABLES = dict(
    re.findall(r"^install_executable\((\S+) ([\w.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
)


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and give its standard output; fail with all of its output."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment_without_this_package() -> dict[str, str]:
    """The environment less every search path entry that leads into this source tree's own build."""
    build = str(ROOT / ".colcon")
    return {
        name: os.pathsep.join(entry for entry in value.split(os.pathsep) if build not in entry)
        for name, value in os.environ.items()
    }


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as building leaves files in them."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "install", "log", "out")
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("sources") / "src", ignore=ignored))


def names_below(folder: Path, pattern: str) -> set[str]:
    """Paths of the matching files, relative to the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern)}


@pytest.fixture(scope="module")
def target(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package, without a network."""
    target = tmp_path_factory.mktemp("pip") / "target"
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "install", *offline, "--target", target, sources, cwd=ROOT)
    return target


@pytest.fixture
def pip_env(target: Path) -> dict[str, str]:
    env = environment_without_this_package()
    env["PYTHONPATH"] = os.pathsep.join([str(target), env.get("PYTHONPATH", "")])
    return env


def test_pip_installs_the_command(target: Path, pip_env: dict[str, str], tmp_path: Path) -> None:
    assert "usage" in run(target / "bin/superglue-ros", "--help", cwd=tmp_path, env=pip_env).lower()


def test_pip_installs_a_core_that_does_not_import_ros(
    target: Path, pip_env: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import sys, superglue_ros.cli.main, superglue_ros.inference as core\n"
        "print(core.__file__, 'rclpy' in sys.modules, 'superglue_ros.msg' in sys.modules)"
    )
    path, *imported = run(sys.executable, "-c", code, cwd=tmp_path, env=pip_env).split()
    assert path.startswith(str(target))
    assert imported == ["False", "False"]


def test_pip_installs_every_module_and_weight(target: Path) -> None:
    for pattern in ("*.py", "weights/*.safetensors", "weights/*.md"):
        expected = names_below(ROOT / "superglue_ros", pattern)
        assert expected
        assert names_below(target / "superglue_ros", pattern) == expected


def test_pip_installs_nothing_else(target: Path) -> None:
    top = {path.name.split("-")[0] for path in target.iterdir()}
    assert top == {"bin", "share", "superglue_ros"}


def test_pip_installs_the_message_definitions(target: Path) -> None:
    messages = names_below(ROOT / "msg", "*.msg")
    assert messages
    assert names_below(target / "share/superglue_ros/msg", "*.msg") == messages


def test_pip_metadata_comes_from_package_xml(target: Path) -> None:
    package = ElementTree.parse(ROOT / "package.xml")
    (installed,) = metadata.distributions(name="superglue_ros", path=[str(target)])
    assert installed.version == package.findtext("version")
    assert installed.metadata["Summary"] == package.findtext("description")
    assert any(requirement.startswith("torch") for requirement in installed.requires or [])


@pytest.fixture(scope="module")
def install(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The install folder of a workspace, built without symbolic links to the sources."""
    pytest.importorskip("rclpy")
    workspace = tmp_path_factory.mktemp("colcon")
    run(
        *("colcon", "--log-base", workspace / "log", "build", "--merge-install"),
        *("--paths", sources, "--build-base", workspace / "build"),
        *("--install-base", workspace / "install"),
        *("--cmake-args", "-GNinja", f"-DPython3_EXECUTABLE={sys.executable}"),
        cwd=workspace,
        env=environment_without_this_package(),
    )
    return workspace / "install"


def run_sourced(install: Path, *command: str, cwd: Path) -> str:
    script = '. "$0"/setup.bash && exec "$@"'
    env = environment_without_this_package()
    return run("bash", "-c", script, install, *command, cwd=cwd, env=env)


def test_colcon_installs_messages_and_package_as_one_module(install: Path, tmp_path: Path) -> None:
    code = (
        "import superglue_ros.inference, superglue_ros.msg as msg\n"
        "print(superglue_ros.inference.__file__, msg.__file__)\n"
        "print(*msg.Features.get_fields_and_field_types())"
    )
    paths, fields = run_sourced(install, sys.executable, "-c", code, cwd=tmp_path).splitlines()
    assert all(path.startswith(str(install)) for path in paths.split())
    assert fields.split() == [
        *("header", "width", "height", "extractor"),
        *("keypoints", "descriptor_size", "descriptors"),
        *("patch_size", "patch_scale", "patches"),
    ]


def test_colcon_installs_executables_where_ros2_run_looks(install: Path) -> None:
    folder = install / "lib/superglue_ros"
    assert {path.name for path in folder.iterdir()} == set(EXECUTABLES)
    for path in folder.iterdir():
        assert os.access(path, os.X_OK)
        assert path.read_text().startswith("#!/usr/bin/env python3\n")


def test_colcon_puts_the_command_on_the_path(install: Path, tmp_path: Path) -> None:
    where = run_sourced(install, "bash", "-c", "command -v superglue-ros", cwd=tmp_path)
    assert where.strip() == str(install / "bin/superglue-ros")
    assert "usage" in run_sourced(install, "superglue-ros", "--help", cwd=tmp_path).lower()


def test_colcon_installs_weights_launch_files_and_settings(install: Path) -> None:
    (weights,) = install.glob("**/superglue_ros/weights")
    expected = names_below(ROOT / "superglue_ros/weights", "*.safetensors")
    assert expected
    assert names_below(weights, "*.safetensors") == expected
    for folder, pattern in (("launch", "*.launch.py"), ("config", "*.*")):
        expected = names_below(ROOT / folder, pattern)
        assert expected
        assert names_below(install / "share/superglue_ros" / folder, pattern) == expected


def test_colcon_leaves_the_laboratory_out(install: Path, tmp_path: Path) -> None:
    assert names_below(install, "superglue_ros/nodes/*.py")
    assert not names_below(install, "superglue_ros/lab")
    listed = run_sourced(install, "superglue-ros", "--help", cwd=tmp_path)
    assert "match two images" in listed
    assert "train weights" not in listed


def test_every_executable_starts_without_the_laboratory(install: Path, tmp_path: Path) -> None:
    code = "import importlib\n" + "".join(
        f"importlib.import_module({module!r}).main\n" for module in EXECUTABLES.values()
    )
    run_sourced(install, sys.executable, "-c", code, cwd=tmp_path)


@pytest.mark.parametrize("module", EXECUTABLES.values())
def test_every_executable_has_a_main(module: str) -> None:
    if ".nodes." in module:
        pytest.importorskip("rclpy")
    assert callable(importlib.import_module(module).main)


def test_every_requirement_is_locked() -> None:
    folder = ROOT / "requirements"
    name = re.compile(r"^[\w-]+", re.M)
    wanted = {found for path in folder.glob("*.in") for found in name.findall(path.read_text())}
    locked = {found for path in folder.glob("*.txt") for found in name.findall(path.read_text())}
    assert wanted
    assert {found.lower() for found in wanted} <= locked
