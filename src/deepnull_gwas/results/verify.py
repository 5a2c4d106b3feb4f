"""Checks of what was published: by a second implementation from the .bed, by the scan in double precision, and by recorded checksums.

The second implementation is that of :mod:`deepnull_gwas.association.second`, with which every association job checks a few of its variants
before they are published (:mod:`deepnull_gwas.association.check`); here it is the published files that are looked at, and more of them.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pysam
import yaml

from deepnull_gwas.association.scan import VARIANT_COLUMNS, Scan, read_study
from deepnull_gwas.association.second import (
    FREQUENCY,
    METHODS_KNOWN,
    METHODS_OF,
    Estimate,
    Second,
    Study,
    differences,
    read_calls,
    read_study_files,
)
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.genotypes.chromosomes import SSF_CODE, chromosome_classes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.loci import read_leads
from deepnull_gwas.results.sumstats import DAMAGE, OTHER_ALLELES, text_blocks
from deepnull_gwas.tables import read_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Lead variants of each study and arm that are checked beside the random ones.
LEADS = 10
LEAD_KEY = ("chromosome", "base_pair_location", "original_id", "effect_allele", "other_allele")
#: Problems named in the message.
NAMED = 8


@dataclass
class Tally:
    """What was compared for one study and arm, and the largest differences."""

    checked: dict[str, int] = field(
        default_factory=lambda: {"second implementation": 0, "double precision": 0, "not compared": 0}
    )
    beta: float = 0.0
    se: float = 0.0
    neg_log10_p: float = 0.0


# --- what was published ------------------------------------------------------


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _rows(path: Path) -> int:
    """Count the rows of a compressed table, and so read it to its end."""
    try:
        return sum(block.count(b"\n") for block in text_blocks(path)) - 1
    except (OSError, *DAMAGE) as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run again") from None


def _recorded_md5(path: Path) -> str:
    meta = Path(f"{path}-meta.yaml")
    try:
        return yaml.safe_load(meta.read_text(encoding="utf-8"))["data_file_md5sum"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        what = str(error).splitlines()[0]
        raise InputError(f"{meta}: no data_file_md5sum can be read from it ({what}); delete it and run again") from None


class Published:
    """The summary statistics of a study and arm, read variant by variant through their index."""

    def __init__(self, path: Path):
        self.path = path
        with gzip.open(path, "rt", encoding="utf-8") as file:
            self.columns = file.readline().rstrip("\n").split("\t")
        try:
            # its own program checks this: an index older than its file is said on the standard error only
            self._file = pysam.TabixFile(str(path))
        except (OSError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"{path}: cannot be read through its index {path.name}.tbi ({error}); delete both and run again"
            ) from None
        self._other = _other_alleles(path.with_name(OTHER_ALLELES))

    def row(self, code: int, position: int, name: str, effect: str, other: str) -> dict[str, str] | None:
        """Give the row of a variant, or None where there is none (it was not tested).

        Raises
        ------
        InputError
            When a row has not as many fields as the header.
        """
        if (apart := self._other.get((str(code), str(position), name, effect, other))) is not None:
            return apart
        if str(code) not in self._file.contigs:
            return None
        for line in self._file.fetch(str(code), position - 1, position):
            fields = line.split("\t")
            if len(fields) != len(self.columns):
                raise InputError(
                    f"{self.path}: a row at {code}:{position} has {len(fields)} fields, expected {len(self.columns)}; delete it and run again"
                )
            row = dict(zip(self.columns, fields, strict=True))
            if (row["original_id"], row["effect_allele"], row["other_allele"]) == (name, effect, other):
                return row
        return None


def _other_alleles(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """Give the rows of the variants whose alleles the standard does not know, by chromosome, position, name and alleles."""
    frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
    return {tuple(row[c] for c in LEAD_KEY): row for row in frame.iter_rows(named=True)}


def _untested(path: Path) -> set[tuple[str, ...]]:
    """Give chromosome, position, name and alleles of the variants that were not tested."""
    frame = pl.read_csv(path, separator="\t", columns=list(LEAD_KEY), infer_schema=False, quote_char=None)
    return set(frame.select(LEAD_KEY).iter_rows())


def _number(text: str) -> float:
    """Read a published number; what is none differs from every number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _counted(row: Mapping[str, str], expected: Mapping[str, float]) -> Iterator[str]:
    """Compare numbers of people, and frequencies, with what was counted in the .bed."""
    for column, value in expected.items():
        found = _number(row.get(column, ""))
        near = 0.0 if isinstance(value, int) else FREQUENCY
        # a frequency among nobody is not a number in both
        if not abs(found - value) <= near and not (np.isnan(found) and np.isnan(value)):
            yield f"{column}: found {row.get(column, 'no such column')}, expected {value:.7g}"


def _differences(row: Mapping[str, str], expected: Estimate, tally: Tally) -> Iterator[str]:
    """Compare beta, se and -log10 p of a row with what was recomputed, and say which differ."""
    columns = {"beta": "beta", "se": "standard_error", "neg_log10_p": "neg_log_10_p_value"}
    found = differences(*(_number(row[c]) for c in columns.values()), expected)
    for name, (off, near, value) in found.items():
        setattr(tally, name, max(getattr(tally, name), off))
        # `not <=`: what is not a number differs
        if not off <= near:
            unit = {"beta": f"{near:.2g} standard errors", "se": f"{near:.2g} of it"}.get(name, f"{near:.2g}")
            yield f"{columns[name]}: found {row[columns[name]]}, expected {value:.7g} (within {unit})"


def _read(folder: Path, arms: Sequence[str]) -> Study:
    prediction = folder / "deepnull" / "prediction.parquet" if "deepnull" in arms else None
    return read_study_files(folder / "study.json", folder / "samples.parquet", prediction, arms)


def verify_batch(
    cohort: str | Path,
    batch: str,
    studies: Sequence[Mapping[str, Any]],
    association: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    out: str | Path,
) -> None:
    """Check what was published of the studies of a batch (rule ``verify_batch``).

    Parameters
    ----------
    cohort
        Folder of the cohort's results.
    batch
        Name of the batch.
    studies
        ``study`` and ``arms`` of each study.
    association
        The ``association`` section of the config, with genome_build.
    settings
        ``variants`` (tested again by the second implementation, for each study, beside the leads), ``blocks`` (of
        ``variants_per_block`` neighbours, tested again by the scan in double precision).
    seed
        Decides, with the names of cohort and batch, which variants.
    out
        TSV, one row a study and arm: what was compared, and the largest differences.

    Raises
    ------
    InputErrors
        When anything published differs, naming file, variant, what was found and what was expected.
    """
    cohort = Path(cohort)
    variants = read_parquet(cohort / "variants.parquet", columns=[*VARIANT_COLUMNS])
    passed = read_parquet(cohort / "qc" / "variants.parquet", columns=["index", "passed"])
    sex = read_parquet(cohort / "qc" / "samples.parquet", columns=["sex"])["sex"].to_numpy()
    fileset = open_genotypes(cohort / "genotypes.json")
    variants = variants[variants["index"].isin(passed.loc[passed["passed"], "index"])].reset_index(drop=True)
    variants["code"] = variants["chromosome"].map(SSF_CODE).astype(int)
    key = ["code", "position", "id", "effect_allele", "other_allele"]
    # twins cannot be told apart in the published file
    unique = np.flatnonzero(~variants.duplicated(key, keep=False))
    kinds = chromosome_classes(
        variants["chromosome"].to_numpy(), variants["position"].to_numpy(), association["genome_build"]
    )
    words = f"{seed}/{cohort.name}/{batch}".encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(words).digest()[:8], "little"))
    chosen = rng.choice(unique, min(int(settings["variants"]), len(unique)), replace=False)
    size = int(association["variants_per_block"])
    starts = np.arange(0, len(variants), size)
    blocks = np.sort(rng.choice(starts, min(int(settings["blocks"]), len(starts)), replace=False))
    problems: list[str] = []
    read = [_read(cohort / s["study"], s["arms"]) for s in studies]
    tallies = {(s.name, arm): Tally() for s in read for arm in s.arms}
    files: dict[tuple[str, str], Published] = {}
    logger.info(
        "%d random variants and the leads by a second implementation, %d blocks of %d in double precision; %d studies",
        len(chosen), len(blocks), size, len(read),
    )  # fmt: skip

    def name(row: Any, path: Path) -> str:
        return f"{path}: variant {row.id} ({row.chromosome}:{row.position}, {row.effect_allele}/{row.other_allele})"

    for study in read:
        for arm in study.arms:
            path, rest = study.folder / arm / "sumstats.tsv.gz", study.folder / arm / "untested.tsv.gz"
            try:
                if (md5 := _md5(path)) != (recorded := _recorded_md5(path)):
                    problems.append(
                        f"{path}: its MD5 checksum is {md5}, expected {recorded} (sumstats.tsv.gz-meta.yaml): "
                        "changed after it was made; delete it and run again"
                    )
                tested, untested, other = _rows(path), _rows(rest), _rows(path.with_name(OTHER_ALLELES))
                if tested + untested + other != len(variants):
                    problems.append(
                        f"{path}: {tested:,} variants, {other:,} in {OTHER_ALLELES} and {untested:,} in untested.tsv.gz; expected {len(variants):,} in all "
                        "(those that passed quality control)"
                    )
                files[study.name, arm] = Published(path)
            except InputError as error:
                problems.append(str(error))
    by_key = {tuple(row): i for i, row in zip(unique, variants.iloc[unique][key].itertuples(index=False, name=None))}
    progress = Progress(len(read), "studies")
    for study in read:
        wanted = dict.fromkeys(map(int, chosen))
        for arm in study.arms:
            path = study.folder / arm / "leads.tsv"
            try:
                leads = read_leads(path).sort("neg_log_10_p_value", descending=True).head(LEADS)
            except (OSError, pl.exceptions.PolarsError) as error:
                what = str(error).splitlines()[0]
                problems.append(f"{path}: cannot be read ({what}); delete it and run again")
                continue
            for lead in leads.select(LEAD_KEY).iter_rows():
                if lead in by_key:
                    wanted[int(by_key[lead])] = None
        absent: dict[str, list[Any]] = {}
        seconds: dict[str, Second] = {}
        for i in wanted:
            row, kind = variants.iloc[i], kinds[i]
            if kind not in seconds:
                seconds[kind] = Second(study, sex, kind, association)
            second = seconds[kind]
            calls = read_calls(*fileset.place_of(row["index"]), fileset.n_samples)
            counted = second.counts(calls)
            for arm in study.arms:
                if (published := files.get((study.name, arm))) is None:
                    continue
                found = published.row(row.code, row.position, row.id, row.effect_allele, row.other_allele)
                if found is None:
                    absent.setdefault(arm, []).append(row)
                    continue
                tally, where = tallies[study.name, arm], name(row, published.path)
                problems += [f"{where}: {text}" for text in _counted(found, counted)]
                if found["method"] not in METHODS_OF[study.trait]:
                    allowed = ", ".join(sorted(METHODS_OF[study.trait]))
                    problems.append(f"{where}: method: found {found['method']}, expected one of: {allowed}")
                elif found["method"] in METHODS_KNOWN:
                    expected = second.test(calls, arm, found["method"])
                    problems += [f"{where}: {text}" for text in _differences(found, expected, tally)]
                    tally.checked["second implementation"] += 1
                else:
                    tally.checked["not compared"] += 1
        for arm, rows in absent.items():
            untested = _untested(study.folder / arm / "untested.tsv.gz")
            for row in rows:
                key_of_row = (row.chromosome, str(row.position), row.id, row.effect_allele, row.other_allele)
                if key_of_row not in untested:
                    problems.append(
                        f"{name(row, files[study.name, arm].path)}: is neither there nor in untested.tsv.gz, expected in one of them"
                    )
        progress.add(1)
    if len(blocks):
        _in_double(
            cohort, read, variants, kinds, blocks, size, sex, fileset, association, files, tallies, problems, name
        )
    if problems:
        more = [f"... and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        raise InputErrors([*problems[:NAMED], *more])
    rows = [
        {
            "cohort": cohort.name, "study": s.name, "arm": arm, "state": "failed study" if arm in s.failed else "ok",
            **{f"variants, {kind}": count for kind, count in t.checked.items()},
            "largest difference of beta, in se": t.beta, "of se, relative": t.se, "of neg_log_10_p_value": t.neg_log10_p,
        }
        for s in read for arm in s.arms for t in [tallies[s.name, arm]]
    ]  # fmt: skip
    write_tsv(pd.DataFrame(rows), out)


def _in_double(cohort, read, variants, kinds, blocks, size, sex, fileset, association, files, tallies, problems, name):
    """Test whole blocks again by the scan in double precision."""
    inputs = []
    for s in read:
        prediction = s.folder / "deepnull" / "prediction.parquet" if "deepnull" in s.arms else None
        inputs.append(read_study(s.folder / "study.json", s.folder / "samples.parquet", prediction, s.arms))
    scan = Scan(inputs, sex, {**association, "exact": True})
    progress = Progress(len(blocks) * size, "variants in double precision")
    for start in blocks:
        rows = np.arange(start, min(start + size, len(variants)))
        for kind in dict.fromkeys(kinds[rows]):
            part = rows[kinds[rows] == kind]
            result = scan.block(fileset.calls(variants["index"].to_numpy()[part]), kind)
            table = variants.iloc[part]
            for (study, arm), published in files.items():
                tally, at = tallies[study, arm], f"{study}.{arm}"
                for k, row in enumerate(table.itertuples()):
                    found = published.row(row.code, row.position, row.id, row.effect_allele, row.other_allele)
                    why = result[f"{at}.reason"][k]
                    if found is None or why:
                        if (found is None) != bool(why):
                            state = "is not there" if found is None else "is there"
                            problems.append(f"{name(row, published.path)}: {state}, expected {why or 'an estimate'}")
                        continue
                    # at the edge between two methods rounding may choose the other
                    if found["method"] != result[f"{at}.method"][k]:
                        tally.checked["not compared"] += 1
                        continue
                    values = [float(result[f"{at}.{c}"][k]) for c in ("beta", "se", "neg_log10_p")]
                    # the same sums in double precision: rounding is magnified by what beta itself explains, and by covariates
                    expected = Estimate(*values, 2 + (values[0] / values[1]) ** 2 / float(found["n"]))
                    problems += [
                        f"{name(row, published.path)}: {text}" for text in _differences(found, expected, tally)
                    ]
                    tally.checked["double precision"] += 1
        progress.add(len(rows))
