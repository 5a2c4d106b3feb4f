"""Time the linear and the binary scan against people, variants, studies and threads; draw it, and reckon up a biobank.

    python benchmarks/scaling.py --figure docs/images/scaling.svg --json benchmarks/output/scaling.json

Genotypes are random bytes in memory (every code, missing among them, is drawn), 22 covariates, both arms.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from association import COVARIATES, settings_of
from threadpoolctl import threadpool_limits

from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.genotypes.block import PackedBlock


def rate(people: int, variants: int, studies: int, threads: int, kind: str = "linear") -> float:
    """Return seconds of wall time of a scan, the best of three."""
    rng = np.random.default_rng(0)
    # 1 % missing calls, allele frequency a quarter
    code = rng.choice(
        np.array([3, 2, 0, 1], np.uint8), size=(256, -(-people // 4), 4), p=[0.5569, 0.3712, 0.0619, 0.01]
    )
    block = code[..., 0] | code[..., 1] << 2 | code[..., 2] << 4 | code[..., 3] << 6
    c = rng.normal(size=(people, COVARIATES))
    names = tuple(f"C{i}" for i in range(COVARIATES))
    binary = kind.startswith("binary")
    batch = []
    for i in range(studies):
        y = rng.normal(size=people) + c[:, 0]
        y = (y > 1).astype(float) if binary else y
        d = rng.normal(size=people) + c[:, 0] ** 2
        trait = "binary" if binary else "quantitative"
        batch.append(StudyInput(f"s{i}", trait, ("baseline", "deepnull"), np.arange(people), y, c, names, d))
    scan = Scan(batch, np.ones(people, dtype=np.int8), Settings.of(settings_of(kind)))
    scan.coded(PackedBlock(block[:16], people), "autosome")
    blocks = [block] * max(1, variants // len(block))
    best = np.inf
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        for _ in range(3):
            start = time.perf_counter()
            for _ in pool.map(lambda b: scan.coded(PackedBlock(b, people), "autosome"), blocks):
                pass
            best = min(best, time.perf_counter() - start)
    return best * variants / (len(blocks) * len(block))


SERIES = {
    "variants": [(20_000, v, 1, 2, "linear") for v in (2_048, 4_096, 8_192, 16_384)],
    "people": [(n, 2_048, 1, 2, "linear") for n in (5_000, 20_000, 80_000, 320_000)],
    "studies": [(20_000, 1_024, s, 2, "linear") for s in (1, 5, 20, 100)],
    "threads": [(20_000, 8_192, 1, t, "linear") for t in (1, 2)],
    "people, binary": [(n, 1_024, 1, 2, "binary") for n in (5_000, 20_000, 80_000)],
    "studies, binary": [(20_000, 512, s, 2, "binary") for s in (1, 5, 20)],
}
AXIS = {"variants": 1, "people": 0, "studies": 2, "threads": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for name, points in SERIES.items():
        found[name] = [(p[AXIS[name.split(",")[0]]], rate(*p)) for p in points]
        for (value, seconds), p in zip(found[name], points):
            print(
                f"{name:16} {value:>8,} {seconds:8.3f} s  {p[0] * p[1] / seconds / 1e6:8,.0f} million genotypes/s",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    if options.figure:
        draw(found, options.figure)


def draw(found: dict, path: Path) -> None:
    """Draw seconds against what grows, both on logarithmic axes, with the line of proportional growth."""
    from deepnull_gwas.report.style import COLOURS, TWO_COLUMNS, figure, legend_below

    colours = [COLOURS["baseline"], COLOURS["deepnull"]]
    with figure(path, TWO_COLUMNS, 2.3) as fig:
        axes = fig.subplots(1, 4, sharey=True)
        for ax, what in zip(axes, AXIS):
            for name, colour in ((what, colours[0]), (f"{what}, binary", colours[1])):
                if name in found:
                    x, y = np.array(found[name]).T
                    label = "binary trait" if "binary" in name else "quantitative trait"
                    ax.plot(x, y, "o-", color=colour, markersize=3, label=label)
                    if what != "threads":
                        ax.plot(x, y[0] * x / x[0], ":", color=COLOURS["line"], label="growth in proportion")
            ax.set(xlabel=what, xscale="log", yscale="log")
            values = [value for value, _ in found[what]]
            ax.set_xticks(values, [f"{v // 1000}k" if v >= 1000 else str(v) for v in values])
            ax.minorticks_off()
        axes[0].set_ylabel("seconds")
        legend_below(fig, axes[1], ncols=3)


if __name__ == "__main__":
    main()
