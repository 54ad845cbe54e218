"""A graph network of which the first layers alone are trained: what a CPU can do in an hour.

The others stay identities. Files leave those at the end out; loading fills them in with zeros.
"""

from __future__ import annotations

from torch import nn

from superglue_ros.errors import InputError
from superglue_ros.lab.training.warm_start import does_nothing
from superglue_ros.networks import SuperGlue


def keep_layers(network: SuperGlue, count: int) -> SuperGlue:
    """Take the layers after the first `count` out of a network, in place.

    Raises:
        InputError: One of them does something.
    """
    layers = list(network.gnn.layers)
    for index, layer in enumerate(layers[count:], start=count):
        if not does_nothing(layer):
            raise InputError(f"layer {index} of the initial weights does something: keep it")
    network.gnn.layers = nn.ModuleList(layers[:count])
    return network
