"""Which extractor and matcher a node's parameters choose, and how they are set up."""

from __future__ import annotations

from superglue_ros.config import (
    DeviceConfig,
    ExtractorChoiceConfig,
    MatcherChoiceConfig,
    MatchingNodeConfig,
    Settings,
    SuperGlueConfig,
    SuperPointConfig,
)
from superglue_ros.errors import InputError
from superglue_ros.inference import registry

_OWN = (SuperPointConfig, SuperGlueConfig)
_BY_PYTORCH = {"engine": ("auto", "torch"), "precision": ("auto", "fp32")}


def extractor_config(config: ExtractorChoiceConfig, weights: str) -> Settings:
    """The settings of the extractor that a node's parameters choose.

    Args:
        config: The parameters.
        weights: Those for SuperPoint.
    """
    return _part(config, config.extractor, registry.EXTRACTORS[config.extractor].config, weights)


def matcher_config(config: MatcherChoiceConfig, weights: str) -> Settings:
    """The settings of the matcher that a node's parameters choose.

    Args:
        config: The parameters.
        weights: Those for SuperGlue; its default is for SuperPoint, and gives way to the shipped
            weights for another extractor.
    """
    if weights == SuperGlueConfig().weights:
        weights = registry.weights_for(config.extractor, "superglue").get("weights", weights)
    return _part(config, config.matcher, registry.MATCHERS[config.matcher].config, weights)


def check_choice(config: MatchingNodeConfig) -> None:
    """Raise InputError where the chosen matcher cannot do what the parameters ask for."""
    registry.fit(config.extractor, config.matcher)
    if config.publish_assignment_matrix and not registry.MATCHERS[config.matcher].has_assignment:
        raise InputError(
            f"matcher {config.matcher} has no assignment matrix: leave publish_assignment_matrix "
            "out, or take the matcher superglue"
        )


def _part(config: Settings, name: str, wanted: type[Settings], weights: str) -> Settings:
    if wanted in _OWN:
        return config.part(wanted, weights=weights)
    assert isinstance(config, DeviceConfig)
    for setting, possible in _BY_PYTORCH.items():
        value = getattr(config, setting)
        if value not in possible:
            raise InputError(
                f"{setting} {value} is not for {name}, which PyTorch runs in fp32: leave it out"
            )
    # A default of SuperPoint's or SuperGlue's is none of the others': theirs hold
    return config.changed_part(wanted)
