"""Counts of genotypes, by variant and by person, in one pass over the packed bytes. All quality control derives from them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.kernels import count_genotypes, lowest_bit, pack_mask
from deepnull_gwas.jit import numba
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import Column, read_json, read_parquet, write_parquet

logger = logging.getLogger(__name__)

#: Names of columns for the classes of chromosomes, in the order of :data:`deepnull_gwas.genotypes.chromosomes.CLASSES`.
CLASSES: tuple[str, ...] = ("autosomal", "x", "y", "mt")
GENOTYPES: tuple[str, ...] = ("hom_effect", "het", "hom_other", "missing")

VARIANT_COUNTS = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    *(Column(g, "int64", f"people of the sample table with this call ({g})") for g in GENOTYPES),
    *(Column(f"male_{g}", "int64", f"the same among recorded males ({g})") for g in GENOTYPES),
    *(Column(f"female_{g}", "int64", f"the same among recorded females ({g})") for g in GENOTYPES),
]
PERSON_COUNTS = [
    Column("sample_index", "int64", "position of the person in the .fam"),
    *(
        Column(f"{c}_{g}", "int64", f"{g} calls on {c} variants of the chunk")
        for c in CLASSES
        for g in ("missing", "het")
    ),
]

#: Variants in a block of the vertical counters: 8-bit counters hold 255.
_BLOCK = 255


@numba.njit(nogil=True, cache=True)
def _add_people(words, n_variants, missing, het):
    """Add the missing and heterozygous calls of each person over at most 255 variants.

    Vertical counters: each person has a lane of 2 bits in a word, so that one addition counts 32 people; lanes widen from 2 to 4 to
    8 bits before they can overflow (3 variants, 15, 255).
    """
    n_words = words.shape[1]
    low_bits = np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    nibbles = np.uint64(0x0F0F0F0F0F0F0F0F)
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    wide = np.zeros((8, n_words), dtype=np.uint64)
    narrow = np.zeros((4, n_words), dtype=np.uint64)
    for first in range(0, n_variants, 15):
        narrow[:] = 0
        for v in range(first, min(first + 15, n_variants), 3):
            a, b, c = words[v], words[v + 1], words[v + 2]
            for w in range(n_words):
                low, high = a[w] & low_bits, (a[w] >> one) & low_bits
                both = low & high
                m, h = low ^ both, high ^ both
                low, high = b[w] & low_bits, (b[w] >> one) & low_bits
                both = low & high
                m += low ^ both
                h += high ^ both
                low, high = c[w] & low_bits, (c[w] >> one) & low_bits
                both = low & high
                m += low ^ both
                h += high ^ both
                narrow[0, w] += m & pairs
                narrow[1, w] += (m >> two) & pairs
                narrow[2, w] += h & pairs
                narrow[3, w] += (h >> two) & pairs
        for k in range(4):
            for w in range(n_words):
                wide[2 * k, w] += narrow[k, w] & nibbles
                wide[2 * k + 1, w] += (narrow[k, w] >> four) & nibbles
    n = len(missing)
    # lane order within a byte: persons 0, 2 in the even pairs (narrow 0), 1, 3 in the odd ones (narrow 1)
    for w in range(n_words):
        for byte in range(8):
            shift = np.uint64(8 * byte)
            base = 32 * w + 4 * byte
            for lane in range(4):
                i = base + lane
                if i < n:
                    k = 2 * (lane & 1) + (lane >> 1)
                    missing[i] += np.int64((wide[k, w] >> shift) & np.uint64(255))
                    het[i] += np.int64((wide[4 + k, w] >> shift) & np.uint64(255))


def count_missing_and_het(packed: np.ndarray, missing: np.ndarray, het: np.ndarray) -> None:
    """Add to each person's counters the missing and heterozygous calls over the variants of a block.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    missing, het
        int64, one a person; changed in place.
    """
    n_words = (packed.shape[1] + 7) // 8
    # rows of the file are not aligned to words and their number need not be a multiple of 3: zero bytes count as neither
    buffer = np.zeros((_BLOCK, n_words * 8), dtype=np.uint8)
    for first in range(0, len(packed), _BLOCK):
        block = packed[first : first + _BLOCK]
        buffer[: len(block), : packed.shape[1]] = block
        buffer[len(block) :] = 0
        _add_people(buffer.view(np.uint64), len(block), missing, het)


@numba.njit(nogil=True, cache=True)
def _weigh_missing(words, weights, out):
    low_bits = np.uint64(0x5555555555555555)
    one = np.uint64(1)
    n = len(out)
    for v in range(len(weights)):
        for w in range(words.shape[1]):
            word = words[v, w]
            missing = word & ~(word >> one) & low_bits
            while missing:
                i = 32 * w + (lowest_bit(missing) >> 1)
                if i < n:
                    out[i] += weights[v]
                missing &= missing - one


def weigh_missing(packed: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Add to each person the weights of the variants at which the call is missing.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    weights
        float64, one a variant.
    out
        float64, one a person; changed in place.
    """
    words = np.zeros((_BLOCK, (packed.shape[1] + 7) // 8 * 8), dtype=np.uint8)
    for first in range(0, len(packed), _BLOCK):
        block = packed[first : first + _BLOCK]
        words[: len(block), : packed.shape[1]] = block
        _weigh_missing(
            words.view(np.uint64), np.ascontiguousarray(weights[first : first + _BLOCK], dtype=np.float64), out
        )


def count_variants(fileset: Genotypes, index: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
    """Count the genotypes of variants among the people of several masks.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of variants.
    masks
        bool, one a person each.

    Returns
    -------
    int64, masks x variants x 4: homozygous effect allele, heterozygous, homozygous other allele, missing.
    """
    index = np.asarray(index, dtype=np.int64)
    lanes = [pack_mask(m) for m in masks]
    out = np.empty((len(masks), len(index), 4), dtype=np.int64)
    size = max(1, (1 << 20) // max(fileset.bytes_per_variant, 1))
    for first in range(0, len(index), size):
        rows = index[first : first + size]
        contiguous = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
        packed = fileset.calls_between(int(rows[0]), int(rows[-1]) + 1) if contiguous else fileset.calls(rows)
        for k, lane in enumerate(lanes):
            out[k, first : first + size] = count_genotypes(packed, lane)
    return out


def count_chunk(
    genotypes: str | Path,
    variants: str | Path,
    samples: str | Path,
    chunk: int,
    out_variants: str | Path,
    out_samples: str | Path,
) -> None:
    """Count the genotypes of one chunk of variants, by variant and by person (rule ``count_genotypes``).

    Parameters
    ----------
    genotypes
        ``genotypes.json``.
    variants, samples
        ``variants.parquet`` and ``samples.parquet`` of the cohort.
    chunk
        Number of the chunk.
    out_variants
        Parquet: :data:`VARIANT_COUNTS`, over the people of the sample table.
    out_samples
        Parquet: :data:`PERSON_COUNTS`, one row for each person of the .fam; the file's metadata say how many variants of each class the chunk has.
    """
    build = read_json(genotypes)["genome_build"]
    table = read_parquet(variants, columns=["index", "chromosome", "position", "chunk"])
    table = table[table["chunk"] == int(chunk)]
    people = read_parquet(samples, columns=["sample_index", "recorded_sex", "in_sample_table"])
    fileset = open_genotypes(genotypes)
    index = table["index"].to_numpy()
    classes = class_codes(table["chromosome"].to_numpy(), table["position"].to_numpy(), build)
    logger.info(
        "chunk %s: %s variants x %s people, %.0f MB read in place; needs about %.0f MB and %.0f s",
        chunk, f"{len(index):,}", f"{fileset.n_samples:,}", len(index) * fileset.bytes_per_variant / 1e6,
        200 + 140 * len(index) / 1e6 + 40 * fileset.n_samples * 8 / 1e6, 1 + len(index) * fileset.n_samples / 2e9,
    )  # fmt: skip
    here = people["in_sample_table"].to_numpy(dtype=bool)
    sex = people["recorded_sex"].to_numpy()
    masks = [here & (sex == code) for code in (1, 2, 0)]
    if not masks[2].any():
        masks.pop()
    counts = np.zeros((len(masks), len(index), 4), dtype=np.int64)
    by_person = np.zeros((len(CLASSES), 2, fileset.n_samples), dtype=np.int64)
    progress = Progress(len(index), "variants")
    size = max(_BLOCK, (1 << 22) // max(fileset.bytes_per_variant, 1) // _BLOCK * _BLOCK)
    # runs of one class, so that the counters by person need no case distinction
    breaks = np.flatnonzero(np.diff(classes)) + 1
    for run in np.split(np.arange(len(index)), breaks):
        if len(run) == 0:
            continue
        start = int(index[run[0]])
        for first, last, packed in fileset.blocks(start, start + len(run), size):
            rows = slice(run[0] + first - start, run[0] + last - start)
            counts[:, rows] = count_variants(fileset, np.arange(first, last), masks)
            count_missing_and_het(packed, *by_person[classes[run[0]]])
            progress.add(last - first)
    frame = pd.DataFrame({"index": index})
    for prefix, values in (("", counts.sum(axis=0)), ("male_", counts[0]), ("female_", counts[1])):
        for k, name in enumerate(GENOTYPES):
            frame[f"{prefix}{name}"] = values[:, k]
    write_parquet(frame, out_variants, VARIANT_COUNTS)
    persons = pd.DataFrame({"sample_index": people["sample_index"].to_numpy()})
    for c, name in enumerate(CLASSES):
        persons[f"{name}_missing"], persons[f"{name}_het"] = by_person[c]
    of_class = {name: int((classes == c).sum()) for c, name in enumerate(CLASSES)}
    write_parquet(persons, out_samples, PERSON_COUNTS, metadata={"variants": of_class})
    logger.info("done: variants by class %s", of_class)
