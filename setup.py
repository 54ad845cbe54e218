"""Installs the ROS-free core and its command with pip; colcon builds from CMakeLists.txt."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Read the requirement lines of requirements/NAME.in."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


package = ElementTree.parse(ROOT / "package.xml").getroot()
maintainer = package.find("maintainer")

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=package.findtext("description"),
    maintainer=maintainer.text,
    maintainer_email=maintainer.get("email"),
    license=package.findtext("license"),
    license_files=["LICENSE"],
    python_requires=">=3.10",
    install_requires=["torch>=2.1", *requirements("runtime")],
    extras_require={
        "lab": requirements("demo"),
        "optional": requirements("optional"),
        "test": [*requirements("test"), *requirements("optional")],
        "dev": [*requirements("test"), *requirements("optional"), *requirements("lint")],
    },
    packages=find_packages(include=["superglue_ros", "superglue_ros.*"]),
    package_data={
        "superglue_ros": ["py.typed"],
        "superglue_ros.weights": ["*.safetensors", "*.md"],
    },
    data_files=[
        ("share/superglue_ros", ["package.xml"]),
        ("share/superglue_ros/msg", [f"msg/{path.name}" for path in (ROOT / "msg").glob("*.msg")]),
    ],
    entry_points={"console_scripts": ["superglue-ros = superglue_ros.cli.main:main"]},
)
