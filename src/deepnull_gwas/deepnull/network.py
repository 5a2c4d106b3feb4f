"""The network: a multilayer perceptron with a parallel linear path. It knows nothing of training, data or files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from deepnull_gwas.deepnull.torch_import import torch

Tensor, nn = torch.Tensor, torch.nn


class DeepNull(nn.Module):
    """Several networks of one shape side by side, evaluated as one batched product.

    covariates -> hidden layers (SiLU) -> 1, plus a linear path on the same covariates, summed. The last
    hidden-to-output weights and the linear path start at zero: training starts at whatever prediction the output is
    added to.

    Parameters
    ----------
    n_inputs
        Number of covariates.
    hidden
        Units of the hidden layers.
    n_networks
        Number of networks for each generator.
    generators
        Sources of the starting weights and of dropout. The networks of one do not depend on the
        others.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], n_networks: int, generators: Sequence[torch.Generator]):
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        sizes = [n_inputs, *hidden]
        for a, b in itertools.pairwise(sizes):
            # Glorot's uniform start, as in the original
            bound = (6.0 / (a + b)) ** 0.5
            start = torch.cat([torch.rand(n_networks, a, b, generator=g) for g in generators])
            self.weights.append(nn.Parameter((start * 2 - 1) * bound))
            self.biases.append(nn.Parameter(torch.zeros(len(start), 1, b)))
        count = n_networks * len(generators)
        self.out = nn.Parameter(torch.zeros(count, sizes[-1], 1))
        self.linear = nn.Parameter(torch.zeros(count, n_inputs, 1))
        self.intercept = nn.Parameter(torch.zeros(count, 1, 1))
        self.generators = generators

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """Predict.

        Parameters
        ----------
        x
            float[networks, people, covariates], standardised, a batch for each network.
        dropout
            Share of the hidden units left out at random (training).

        Returns
        -------
        float[networks, people]: what is added to the starting prediction (binary traits: to its logit).
        """
        h = x
        for weight, bias in zip(self.weights, self.biases):
            h = nn.functional.silu(torch.baddbmm(bias, h, weight))
            if dropout:
                each = (len(h) // len(self.generators), *h.shape[1:])
                keep = torch.cat([torch.rand(each, generator=g) for g in self.generators]) >= dropout
                h = h * keep.to(h.device) / (1 - dropout)
        return (torch.bmm(h, self.out) + torch.baddbmm(self.intercept, x, self.linear)).squeeze(2)
