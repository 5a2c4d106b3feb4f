"""Chromosome names, their order and codes, and the pseudo-autosomal regions.

The configuration looks up names here each time that the workflow is parsed, so numpy is imported only where arrays are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

AUTOSOMES: tuple[str, ...] = tuple(str(i) for i in range(1, 23))
#: Order of analysis, with PLINK's numeric codes (23 X, 24 Y, 25 XY = pseudo-autosomal, 26 MT).
ORDER: dict[str, int] = {**{c: int(c) for c in AUTOSOMES}, "X": 23, "Y": 24, "XY": 25, "MT": 26}
#: Codes of the GWAS-SSF standard (X 23, Y 24, MT 25); the pseudo-autosomal region is part of X.
SSF_CODE: dict[str, int] = {**{c: int(c) for c in AUTOSOMES}, "X": 23, "Y": 24, "XY": 23, "MT": 25}
#: How variants are inherited, by name; ``autosome`` holds 1-22 and the pseudo-autosomal regions.
CLASSES: tuple[str, ...] = ("autosome", "X", "Y", "MT")
BUILDS: tuple[str, ...] = ("GRCh37", "GRCh38")

#: Pseudo-autosomal regions by their positions on X and on Y, 1-based and inclusive (Genome Reference Consortium).
PAR: dict[str, dict[str, tuple[tuple[int, int], ...]]] = {
    "GRCh37": {
        "X": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
        "Y": ((10_001, 2_649_520), (59_034_050, 59_363_566)),
    },
    "GRCh38": {
        "X": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
        "Y": ((10_001, 2_781_479), (56_887_903, 57_217_415)),
    },
}

_ALIASES: dict[str, str] = {
    **{c: c for c in AUTOSOMES},
    **{f"0{i}": str(i) for i in range(1, 10)},
    "23": "X",
    "X": "X",
    "24": "Y",
    "Y": "Y",
    "25": "XY",
    "XY": "XY",
    "PAR1": "XY",
    "PAR2": "XY",
    "26": "MT",
    "MT": "MT",
    "M": "MT",
    "CHRM": "MT",
}


def normalise(code: str) -> str | None:
    """Return the name of a chromosome (``1`` .. ``22``, ``X``, ``Y``, ``XY``, ``MT``) for any code of PLINK or UCSC.

    Returns None for a code that is not known, contigs and PLINK's ``0`` (unplaced) among them.
    """
    text = str(code).strip().upper()
    if text in _ALIASES:
        return _ALIASES[text]
    return _ALIASES.get(text.removeprefix("CHR"))


def in_par(chromosome: np.ndarray, position: np.ndarray, build: str) -> np.ndarray:
    """Return which variants are pseudo-autosomal: coded ``XY``, or on ``X`` or ``Y`` inside the bounds of :data:`PAR`.

    Parameters
    ----------
    chromosome, position
        Normalised names and 1-based positions of the variants.
    build
        ``GRCh37`` or ``GRCh38``.

    Returns
    -------
    bool array of the same length.
    """
    import numpy as np

    chromosome = np.asarray(chromosome, dtype=object)
    position = np.asarray(position)
    out = chromosome == "XY"
    for name, regions in PAR[build].items():
        for start, end in regions:
            out |= (chromosome == name) & (position >= start) & (position <= end)
    return out


def class_codes(chromosome: np.ndarray, position: np.ndarray, build: str) -> np.ndarray:
    """Return the class of each variant as an index into :data:`CLASSES`; pseudo-autosomal variants are autosomal.

    Parameters
    ----------
    chromosome, position, build
        As :func:`in_par`.

    Returns
    -------
    int8 array of the same length.

    Examples
    --------
    >>> class_codes(["7", "X", "X", "MT"], [5, 100_000, 50_000_000, 5], "GRCh38").tolist()
    [0, 0, 1, 3]
    """
    import numpy as np

    chromosome = np.asarray(chromosome, dtype=object)
    out = np.zeros(len(chromosome), dtype=np.int8)
    for code, name in enumerate(CLASSES[1:], 1):
        out[chromosome == name] = code
    out[in_par(chromosome, position, build)] = 0
    return out


def chromosome_classes(chromosome: np.ndarray, position: np.ndarray, build: str) -> np.ndarray:
    """Return the class of each variant by its name in :data:`CLASSES`; parameters as :func:`class_codes`."""
    import numpy as np

    return np.array(CLASSES, dtype=object)[class_codes(chromosome, position, build)]
