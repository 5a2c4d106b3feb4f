"""The kinds of models, from the simplest on: one line each."""

from __future__ import annotations

from deepnull_gwas.deepnull.gaussian_process import GAUSSIAN_PROCESS
from deepnull_gwas.deepnull.networks import NETWORK
from deepnull_gwas.deepnull.protocol import Kind
from deepnull_gwas.deepnull.smooth_kinds import LINEAR, SECOND_ORDER, SPLINES
from deepnull_gwas.deepnull.trees import TREES

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        LINEAR,
        SECOND_ORDER,
        SPLINES,
        TREES,
        GAUSSIAN_PROCESS,
        NETWORK,
    )
}
