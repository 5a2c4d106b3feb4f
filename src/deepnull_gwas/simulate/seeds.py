"""Seeds of the parts of a simulation: each depends on the seed of the run and on what the part is, on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: object) -> int:
    """Derive the seed of one part from the seed of the run, so that it depends on nothing else.

    Parameters
    ----------
    seed
        The seed of the config.
    names
        What the stream is for, for example ``"ancestry", "X"``.

    Returns
    -------
    int in 1 .. 2^32 - 1 (the range that msprime takes).
    """
    text = "\x1f".join([str(int(seed)), *(str(n) for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % (2**32 - 1) + 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return the random generator of one part; see :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
