"""How long the simulated chromosomes are.

Without other imports: the estimates of resources need it each time that the workflow is parsed.
"""

from __future__ import annotations

#: Lengths of the chromosomes in GRCh38, megabases: they share out the variants and bound the positions.
LENGTH_MB: dict[str, float] = dict(
    zip(
        (*map(str, range(1, 23)), "X"),
        (
            *(248.96, 242.19, 198.30, 190.21, 181.54, 170.81, 159.35, 145.14, 138.39, 133.80, 135.09, 133.28),
            *(114.36, 107.04, 101.99, 90.34, 83.26, 80.37, 58.62, 64.44, 46.71, 50.82, 156.04),
        ),
    )
)
