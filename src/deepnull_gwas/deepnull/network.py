"""The network: a multilayer perceptron with a linear path beside it. It knows nothing of training, data or files."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class DeepNull(nn.Module):
    """Several networks of one shape side by side, evaluated as one batched product.

    covariates -> hidden layers (SiLU) -> 1, plus a linear path on the same covariates, summed. The last hidden-to-output weights start at zero, so
    that training starts exactly at the linear path.

    Parameters
    ----------
    n_inputs
        Number of covariates.
    hidden
        Units of the hidden layers.
    n_networks
        Number of networks.
    linear
        float[n_inputs] and intercept that the linear path starts from.
    generator
        Source of the starting weights.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden: tuple[int, ...],
        n_networks: int,
        linear: Tensor,
        intercept: float,
        generator: torch.Generator,
    ):
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        sizes = [n_inputs, *hidden]
        for a, b in itertools.pairwise(sizes):
            # Glorot's uniform start, as in the original
            bound = (6.0 / (a + b)) ** 0.5
            start = (torch.rand(n_networks, a, b, generator=generator) * 2 - 1) * bound
            self.weights.append(nn.Parameter(start))
            self.biases.append(nn.Parameter(torch.zeros(n_networks, 1, b)))
        self.out = nn.Parameter(torch.zeros(n_networks, sizes[-1], 1))
        self.linear = nn.Parameter(linear.reshape(1, n_inputs, 1).repeat(n_networks, 1, 1).clone())
        self.intercept = nn.Parameter(torch.full((n_networks, 1, 1), float(intercept)))

    def forward(self, x: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        x
            float[people, covariates], standardised, shared by all networks; or float[networks, people, covariates], a batch each.

        Returns
        -------
        float[networks, people]: the prediction (binary traits: its logit).
        """
        if x.dim() == 2:
            x = x.unsqueeze(0).expand(self.linear.shape[0], -1, -1)
        h = x
        for weight, bias in zip(self.weights, self.biases):
            h = nn.functional.silu(torch.baddbmm(bias, h, weight))
        return (torch.bmm(h, self.out) + torch.baddbmm(self.intercept, x, self.linear)).squeeze(2)
