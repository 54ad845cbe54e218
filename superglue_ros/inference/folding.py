"""SuperGlue with fewer operations for inference: the same function, weights taken together once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from superglue_ros.networks import SuperGlue
from superglue_ros.networks.superglue import AttentionalPropagation


class ConstantChange(nn.Module):
    """In the place of a layer of the graph network that changes all features alike, if at all.

    Args:
        bias: (D,), what it adds to each feature.
    """

    def __init__(self, bias: Tensor) -> None:
        """Keep the change."""
        super().__init__()
        self.bias: Tensor
        self.register_buffer("bias", bias.detach().clone())

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """The change (D, 1) of features x (B, D, N), whatever they and the source are."""
        return self.bias[:, None]


def simplify(network: SuperGlue) -> SuperGlue:
    """Fold batch-norms and leave out layers that do nothing, in place.

    A layer whose last weights are zero, as in weights that are still untrained there, changes every
    feature by its last bias: the rest of it need not be computed.

    Args:
        network: A network in evaluation mode, simplified already or not. Its parameter names no
            longer fit checkpoints afterwards.
    """
    _fold_batch_norms(network)
    layers = network.gnn.layers
    for index, layer in enumerate(layers):
        if isinstance(layer, ConstantChange):
            continue
        assert isinstance(layer, AttentionalPropagation)
        last = layer.mlp[-1]
        assert isinstance(last, nn.Conv1d)
        assert last.bias is not None
        if not last.weight.any():
            layers[index] = ConstantChange(last.bias)
    return network


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch-norm that follows a convolution in an `nn.Sequential`, in place."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        layers = list(sequence)
        for index in range(len(layers) - 1):
            convolution, norm = layers[index], layers[index + 1]
            if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
                sequence[index] = fuse_conv_bn_eval(convolution, norm)
                sequence[index + 1] = nn.Identity()
