"""Trained networks applied with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROWS = 65536


@dataclass
class NetworkModel:
    """Trained networks as plain arrays, so that they are saved without pickle and applied without torch.

    Attributes
    ----------
    parameters
        By name, networks first; the output is in units of the phenotype.
    """

    parameters: dict[str, np.ndarray]

    def predict(self, z: np.ndarray, network: int | None = None) -> np.ndarray:
        """Return what the networks add to their starting model: the mean of all, or that of one.

        Parameters
        ----------
        z
            float[n, p] standardised covariates.
        """
        layers = sorted(k for k in self.parameters if k.startswith("weights."))
        wanted = range(len(self.parameters["out"])) if network is None else [network]
        total = np.zeros(len(z))
        for first in range(0, len(z), _ROWS):
            part = z[first : first + _ROWS].astype(np.float32)
            for e in wanted:
                h = part
                for name in layers:
                    h = h @ self.parameters[name][e] + self.parameters[name.replace("weights", "biases")][e]
                    # SiLU; the exponent is held where float32 can take it
                    h = h / (1 + np.exp(-np.maximum(h, -80)))
                out = h @ self.parameters["out"][e] + part @ self.parameters["linear"][e]
                total[first : first + _ROWS] += (out + self.parameters["intercept"][e])[:, 0]
        return total / len(wanted)
