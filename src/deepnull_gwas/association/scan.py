"""The scan: one pass over a chunk of genotypes for all studies of a batch, both arms, with their own people and covariates each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from deepnull_gwas.association import codes
from deepnull_gwas.association.binary import DECODED, BinaryArm, associate_binary
from deepnull_gwas.association.check import Sample, check
from deepnull_gwas.association.codes import (
    CONSTANT,
    HWE,
    LOW_MAC,
    MISSINGNESS,
    NO_CALLS,
    SEX_UNKNOWN,
    STUDY_FAILED,
    TESTED,
)
from deepnull_gwas.association.design import Design, MaskGroup, StudyDesign, StudyInput, build_design
from deepnull_gwas.association.linear import DropInput, Estimates, left_over, linear_dropped, linear_imputed
from deepnull_gwas.cohort.hwe import hwe_below
from deepnull_gwas.cohort.missingness import missingness_difference
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.genotypes.blocks import read_block
from deepnull_gwas.genotypes.chromosomes import chromosome_classes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.products import Columns
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import ParquetParts, read_json, read_table, to_arrow, to_numpy, to_words
from deepnull_gwas.verify.files import read_study_files

logger = logging.getLogger(__name__)

FORMAT = 1
#: Blocks whose results are held before they are written
BLOCKS_HELD = 16
_LOCK = threading.Lock()
VARIANT_COLUMNS = ("index", "chromosome", "position", "id", "effect_allele", "other_allele")


def read_study(
    study_json: str | Path, samples: str | Path, prediction: str | Path | None, arms: Sequence[str]
) -> StudyInput:
    """Read one study as the steps before left it; what failed there stays failed here, with its reason."""
    study = read_json(study_json)
    people = read_table(samples)
    failures: dict[str, StudyFailure] = {}
    if study["status"] != "ok":
        failures = dict.fromkeys(arms, StudyFailure(study["stage"], study["reason"]))
    columns = [c for c in people.column_names if c.startswith("cov_")]
    d = None
    if "deepnull" in arms and prediction is not None and "deepnull" not in failures:
        table = read_table(prediction)
        metrics = Path(prediction).with_name("metrics.json")
        state = read_json(metrics) if metrics.exists() else {"status": "ok"}
        if state.get("status", "ok") != "ok":
            failures["deepnull"] = StudyFailure(state["stage"], state["reason"])
        elif not table["sample_index"].equals(people["sample_index"]):
            failures["deepnull"] = StudyFailure("train_folds", "the prediction is not of the analysed people")
        else:
            d = to_numpy(table["prediction"]).astype(np.float64)
    return StudyInput(
        name=study["study"],
        trait=study["trait"],
        arms=tuple(arms),
        sample_index=to_numpy(people["sample_index"]).astype(np.int64),
        y=to_numpy(people["phenotype"]).astype(np.float64),
        covariates=np.column_stack([np.empty((len(people), 0)), *(to_numpy(people[c]) for c in columns)]),
        covariate_names=tuple(c.removeprefix("cov_") for c in columns),
        prediction=d,
        failures=failures,
    )


@dataclass
class _Group:
    """A mask group made ready for the scan.

    Attributes
    ----------
    mask
        The people.
    columns, squares
        Columns that the genotypes, and their squares, are multiplied with, laid out for the kernels.
    drops
        Studies of one basis, with what dropping missing calls needs; only where calls are dropped.
    arms
        (study, arm) -> what the tests of a binary trait need.
    """

    group: MaskGroup
    mask: Mask
    columns: Columns
    squares: Columns
    drops: list[tuple[list[int], DropInput]]
    arms: dict[tuple[int, str], BinaryArm]


@dataclass
class _Class:
    """The design of a batch on one class of chromosomes, made ready for the scan."""

    name: str
    design: Design
    haploid: Mask | None
    groups: list[_Group]
    hwe_masks: list[Mask | None]
    case_masks: list[Mask | None]
    het_calls: list[int]


class Scan:
    """A batch over a cohort's people, ready to test blocks of variants.

    Parameters
    ----------
    studies
        The batch.
    sex
        int8, one a person of the .fam: 1 male, 2 female, 0 unknown.
    settings
        The ``association`` section of the config: missing_genotypes, min_mac, min_mac_cases, hwe_p, missingness_p, exact, x_male_copies,
        and for binary traits refine_below, refine_by, firth, firth_form, firth_mac; what is absent is off. ``test`` asks for the p of
        the full fit: ``wald`` (default), ``lrt`` or ``score``.
    """

    def __init__(self, studies: Sequence[StudyInput], sex: np.ndarray, settings: Mapping[str, Any]):
        self.studies = list(studies)
        self.sex = np.asarray(sex)
        self.settings = settings
        self.n_people = len(self.sex)
        self.drop = settings.get("missing_genotypes", "impute_mean") == "drop"
        self.dtype = np.float64 if settings.get("exact") else np.float32
        self._classes: dict[str, _Class] = {}

    def on(self, name: str) -> _Class:
        """Give the design on a class of chromosomes; made when first asked for."""
        if name not in self._classes:
            self._classes[name] = self._prepare(name)
        return self._classes[name]

    @property
    def width(self) -> int:
        """Number of columns of the designs made so far."""
        return sum(g.columns.width + g.squares.width for c in self._classes.values() for g in c.groups)

    def _prepare(self, name: str) -> _Class:
        male, female, known = self.sex == 1, self.sex == 2, self.sex > 0
        extra, keep, haploid = None, None, None
        if name == "X":
            extra, keep, haploid = {"sex": self.sex.astype(np.float64)}, known, Mask.of(male)
        elif name == "Y":
            keep, haploid = male, Mask.of(male)
        elif name == "MT":
            haploid = Mask.of(np.ones(self.n_people, dtype=bool))
        design = build_design(self.studies, extra, keep)
        for d in design.studies:
            if name == "X" and d.arms and "sex" not in d.dropped:
                d.notes.append("sex was added as a covariate on X")
            unknown = int((~known[d.study.sample_index]).sum())
            if name == "X" and unknown:
                d.notes.append(f"{unknown} people without a known sex are left out on X")
            if name in ("X", "Y") and d.fails_for_want_of_sex(unknown):
                d.sex_unknown = True
                reason = f"the sex of {unknown} of {len(d.study.sample_index)} people is not known"
                d.failures = {a: StudyFailure("associate", reason) for a in d.study.arms} | d.study.failures
            if name == "X" and d.arms:
                d.notes.append(
                    "on X men's genotypes are 0/1: beta is per copy of the effect allele in men and women"
                    if int(self.settings.get("x_male_copies", 2)) == 1
                    else "on X men's genotypes are 0/2: beta is per copy of the effect allele in women, and half of what a man's copy does"
                )
            if name == "Y":
                d.notes.append(
                    f"on Y the {d.n} recorded males are analysed, genotypes 0/1: beta is per copy of the effect allele"
                )
            if name == "MT" and d.arms:
                d.notes.append("on MT genotypes are 0/1: beta is per copy of the effect allele")
            for arm, failure in d.failures.items():
                logger.warning("%s (%s), %s arm: not tested: %s", d.study.name, name, arm, failure.reason)
            if d.dropped:
                logger.info("%s (%s): collinear covariates left out: %s", d.study.name, name, ", ".join(d.dropped))
        hwe_masks, case_masks = [], []
        for d in design.studies:
            binary = d.study.trait == "binary"
            case_masks.append(self._mask(d.sample_index[d.y == 1.0]) if binary else None)
            tested = self._mask(d.sample_index[d.y == 0.0] if binary else d.sample_index)
            if name == "X":
                tested &= Mask.of(female)
            hwe_masks.append(None if name in ("Y", "MT") else tested)
        groups = [self._group(g, design.studies) for g in design.groups]
        return _Class(name, design, haploid, groups, hwe_masks, case_masks, [0] * len(design.studies))

    def _mask(self, index: np.ndarray) -> Mask:
        return Mask.of_people(index, self.n_people)

    def _group(self, group: MaskGroup, designs: Sequence[StudyDesign]) -> _Group:
        index, columns = group.sample_index, [group.columns]
        width, squares, arms = group.columns.shape[1], [], {}
        for i in group.members:
            d = designs[i]
            for arm in d.arms if d.study.trait == "binary" else ():
                null = d.nulls[arm]
                columns += [null.weights[:, None] * (null.x @ null.half), (d.y - null.mu)[:, None]]
                p = null.x.shape[1]
                arms[i, arm] = BinaryArm(
                    null, d.y, index, slice(width, width + p), width + p, len(squares), self.n_people, self.dtype
                )
                squares.append(null.weights)
                width += p + 1
        drops = []
        if self.drop:
            shared: dict[tuple[int, int], list[int]] = {}
            for i in group.basis_of:
                shared.setdefault((group.basis_of[i].start, group.basis_of[i].stop), []).append(i)
            zero = np.zeros(len(index))
            for members in shared.values():
                y = np.column_stack([designs[i].y_residual for i in members])
                u = np.column_stack([zero if designs[i].u is None else designs[i].u for i in members])
                drops.append((members, DropInput.of(self.n_people, index, designs[members[0]].basis, y, u, self.dtype)))
        weights = np.column_stack(squares) if squares else np.zeros((len(index), 0))
        laid_out = (Columns(self.n_people, index, c, self.dtype) for c in (np.hstack(columns), weights))
        products, squares_of = laid_out
        # the largest of what is not needed any more
        group.columns = np.empty((0, group.columns.shape[1]))
        return _Group(group, self._mask(index), products, squares_of, drops, arms)

    def block(self, block: Block, name: str) -> dict[str, np.ndarray]:
        """Test a block of variants of one class.

        Parameters
        ----------
        block
            The genotypes.
        name
            Class of chromosomes: ``autosome``, ``X``, ``Y`` or ``MT``.

        Returns
        -------
        Columns of the result, by name, each with one value per variant.
        """
        return {column: codes.to_words(column, values) for column, values in self.coded(block, name).items()}

    def coded(self, block: Block, name: str) -> dict[str, np.ndarray]:
        """Do as :meth:`block`, methods and reasons as the small numbers of :mod:`deepnull_gwas.association.codes`."""
        c = self.on(name)
        if c.haploid is not None:
            # alleles are counted as the file has them; the tests see copies: one where one is there, men's on X as configured
            block = block.inherited(c.haploid, self._single(c))
        out: dict[str, np.ndarray] = {}
        for g in c.groups:
            products, squares = block.multiply(g.columns, g.mask), block.multiply(g.squares, g.mask, squared=True)
            reasons: dict[int, np.ndarray] = {}
            smaller: dict[int, np.ndarray | None] = {}
            like = None
            for i in g.group.members:
                study = self.studies[i].name
                if self.studies[i].trait == "binary" or like is None:
                    reasons[i], smaller[i] = self._head(c, g, i, block, out)
                    like = i if self.studies[i].trait != "binary" else like
                else:
                    # the same people: what is counted is the same for all quantitative traits
                    reasons[i] = reasons[like]
                    for column in ("n", "eaf"):
                        out[f"{study}.{column}"] = out[f"{self.studies[like].name}.{column}"]
            results = self._linear(c, g, block, products, reasons)
            for (i, arm), binary in g.arms.items():
                results[i, arm] = associate_binary(
                    binary, block, products, squares, smaller[i], reasons[i], self.drop, self.settings
                )  # fmt: skip
            hets = block.haploid_hets(g.mask)
            for i in g.group.members:
                self._put(c.design.studies[i], i, results, reasons[i], out)
                if hets:
                    with _LOCK:
                        c.het_calls[i] += hets
        return out

    def _single(self, c: _Class) -> bool:
        """Return whether a haploid genotype is tested as the one copy that it is: always but on X, by default."""
        return c.name in ("Y", "MT") or (c.name == "X" and int(self.settings.get("x_male_copies", 2)) == 1)

    def _head(self, c: _Class, g: _Group, i: int, block: Block, out: dict) -> tuple[np.ndarray, np.ndarray | None]:
        """Fill in a study's counts and frequencies; say which variants are not to be tested, and (binary) how few copies a group has."""
        d = c.design.studies[i]
        name = d.study.name
        observed, missing = block.observed(g.mask), block.missing(g.mask)
        alleles, chromosomes = block.alleles(g.mask)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[f"{name}.n"] = (observed if self.drop else np.where(observed > 0, d.n, 0)).astype(np.int32)
            out[f"{name}.eaf"] = alleles / chromosomes
        mac = np.minimum(alleles, chromosomes - alleles)
        low = mac < float(self.settings.get("min_mac", 0))
        reason = np.full(block.n_variants, TESTED, dtype=np.int8)
        smaller = None
        threshold = float(self.settings.get("hwe_p", 0.0))
        if threshold > 0 and c.hwe_masks[i] is not None:
            h = block.calls(c.hwe_masks[i])
            reason[hwe_below(h[:, 1], h[:, 0], h[:, 2], threshold)] = HWE
        if d.study.trait == "binary":
            case_alleles, case_chromosomes = block.alleles(c.case_masks[i])
            other_alleles, other_chromosomes = alleles - case_alleles, chromosomes - case_chromosomes
            with np.errstate(invalid="ignore", divide="ignore"):
                out[f"{name}.eaf_cases"] = case_alleles / case_chromosomes
                out[f"{name}.eaf_controls"] = other_alleles / other_chromosomes
            called, not_called = block.observed(c.case_masks[i]), block.missing(c.case_masks[i])
            cases = called if self.drop else int((d.y == 1.0).sum())
            out[f"{name}.n_cases"] = np.where(observed > 0, cases, 0).astype(np.int32)
            # copies of the allele that is rarer in all people
            rare = alleles <= chromosomes - alleles
            in_cases = np.where(rare, case_alleles, case_chromosomes - case_alleles)
            in_others = np.where(rare, other_alleles, other_chromosomes - other_alleles)
            smaller = np.minimum(in_cases, in_others)
            low |= smaller < float(self.settings.get("min_mac_cases", 0))
            threshold = float(self.settings.get("missingness_p", 0.0))
            rows = np.flatnonzero(missing > 0) if threshold > 0 else []
            if len(rows):
                p = missingness_difference(
                    called[rows], not_called[rows], (observed - called)[rows], (missing - not_called)[rows]
                )
                reason[rows[p < threshold]] = MISSINGNESS
        reason[low] = LOW_MAC
        reason[(block.moments(g.mask)[1] <= 0) | (mac <= 0)] = CONSTANT
        reason[observed == 0] = NO_CALLS
        return reason, smaller

    def _linear(
        self, c: _Class, g: _Group, block: Block, products: np.ndarray, reasons: Mapping[int, np.ndarray]
    ) -> dict[tuple[int, str], tuple[Estimates, np.ndarray]]:  # fmt: skip
        results: dict[tuple[int, str], Estimates] = {}
        group, designs = g.group, c.design.studies
        _, gg = block.moments(g.mask)
        rows = np.flatnonzero((block.missing(g.mask) > 0) & (gg > 0)) if self.drop else []
        # by both ends: a basis without columns begins where the next one does
        dens: dict[tuple[int, int], np.ndarray] = {}
        for i, basis in group.basis_of.items():
            d, u, columns = designs[i], group.u_of[i], (basis.start, basis.stop)
            if columns not in dens:
                dens[columns] = left_over(products, *columns, gg)
            df = d.n - (basis.stop - basis.start) - 2
            estimates = linear_imputed(products, dens[columns], group.y_of[i], u, gg, d.yy, d.uy, df, reasons[i])
            results |= {(i, arm): e for arm, e in estimates.items()}
        if len(rows):
            observed = block.observed(g.mask)
            for members, given in g.drops:
                ys = np.array([group.y_of[i] for i in members])
                us = np.array([-1 if group.u_of[i] is None else group.u_of[i] for i in members])
                reason = np.stack([reasons[i] for i in members])
                exact = linear_dropped(
                    block, rows, products, group.basis_of[members[0]], ys, us, gg, observed, given, reason
                )
                for i, estimates in zip(members, exact):
                    for arm, e in estimates.items():
                        old = results[i, arm]
                        old.values[rows], old.reason[rows] = e.values[rows], e.reason[rows]
                        old.df[rows] = e.df[rows]
                        old.finish()
        # the codes of linear and of untested variants are 1 and 0
        return {key: (e, (e.reason == TESTED).view(np.int8)) for key, e in results.items()}

    def _put(self, d: StudyDesign, i: int, results: Mapping, reason: np.ndarray, out: dict) -> None:
        """Fill in the estimates of a study's arms."""
        name = d.study.name
        for arm in d.study.arms:
            key = f"{name}.{arm}"
            if arm in d.failures or (i, arm) not in results:
                values = np.full((len(reason), 3), np.nan)
                failed = SEX_UNKNOWN if d.sex_unknown and arm not in d.study.failures else STUDY_FAILED
                why, method = np.full(len(reason), failed, np.int8), np.zeros(len(reason), np.int8)
            else:
                e, method = results[i, arm]
                values, why = e.values, e.reason
                if d.unit != 1.0:
                    # both arms may be one object: not in place
                    values = values * np.array([d.unit, d.unit, 1.0])
                if why.any():
                    values[why != TESTED] = np.nan
            out[f"{key}.beta"], out[f"{key}.se"], out[f"{key}.neg_log10_p"] = values.T
            out[f"{key}.method"], out[f"{key}.reason"] = method, why

    def metadata(self) -> dict[str, Any]:
        """Say of each study and arm what its null model came to, for the head of the result."""
        studies = {}
        for i, study in enumerate(self.studies):
            arms = {}
            for arm in study.arms:
                state = {"status": "ok", "stage": "", "reason": "", "dropped_covariates": [], "notes": []}
                for name, c in self._classes.items():
                    d = c.design.studies[i]
                    if arm in d.failures and (name == "autosome" or "autosome" not in self._classes):
                        failure = d.failures[arm]
                        state |= {"status": "failed", "stage": failure.stage, "reason": failure.reason}
                    if name == "autosome":
                        state["dropped_covariates"] = d.dropped
                    notes = list(d.notes)
                    if c.het_calls[i]:
                        notes.append(
                            f"{c.het_calls[i]} heterozygous calls of haploid genotypes on {name} count as missing"
                        )
                    state["notes"] += [note for note in notes if note not in state["notes"]]
                arms[arm] = state
            studies[study.name] = {"trait": study.trait, "arms": arms}
        return {"format": FORMAT, "studies": studies}


def column_types(studies: Sequence[StudyInput]) -> dict[str, pa.DataType]:
    """Give the columns of a result that belong to studies, with their types."""
    out: dict[str, pa.DataType] = {}
    word = pa.dictionary(pa.int8(), pa.string())
    for s in studies:
        out[f"{s.name}.n"] = pa.int32()
        out[f"{s.name}.eaf"] = pa.float64()
        if s.trait == "binary":
            out[f"{s.name}.n_cases"] = pa.int32()
            out[f"{s.name}.eaf_cases"] = pa.float64()
            out[f"{s.name}.eaf_controls"] = pa.float64()
        for arm in s.arms:
            out |= {f"{s.name}.{arm}.{column}": pa.float64() for column in ("beta", "se", "neg_log10_p")}
            out |= {f"{s.name}.{arm}.{column}": word for column in ("method", "reason")}
    return out


def associate_chunk(
    genotypes: str | Path,
    variants: str | Path,
    samples: str | Path,
    qc_variants: str | Path | None,
    studies: Sequence[tuple[str | Path, str | Path, str | Path | None, Sequence[str]]],
    chunk: int,
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int = 1,
) -> None:
    """Test the variants of a chunk that passed quality control for all studies of a batch and write one row each.

    A few results of each study and arm are tested again by a second implementation before the file gets its name.

    Parameters
    ----------
    genotypes, variants, samples
        genotypes.json, variants.parquet and qc/samples.parquet of the cohort.
    qc_variants
        qc/variants.parquet; None tests all variants.
    studies
        (study.json, samples.parquet, prediction.parquet or None, arms) of each study.
    chunk
        Number of the chunk.
    settings
        The ``association`` section, and genome_build.
    out
        Result.
    threads
        Blocks tested at once; the result does not depend on it.
    """
    inputs = [read_study(*s) for s in studies]
    table = read_table(variants, columns=[*VARIANT_COLUMNS, "chunk"])
    kept = to_numpy(table["chunk"]) == chunk
    if qc_variants is not None:
        verdict = read_table(qc_variants, columns=["index", "passed"])
        kept &= np.isin(to_numpy(table["index"]), to_numpy(verdict["index"])[to_numpy(verdict["passed"])])
    table = table.select(VARIANT_COLUMNS).take(to_arrow(np.flatnonzero(kept))).combine_chunks()
    sex = to_numpy(read_table(samples, columns=["sex"])["sex"])
    files = open_genotypes(genotypes)
    scan = Scan(inputs, sex, settings)
    classes = chromosome_classes(to_numpy(table["chromosome"]), to_numpy(table["position"]), settings["genome_build"])
    index = to_numpy(table["index"])
    size = int(settings.get("variants_per_block", 512))
    # runs of variants of one class, cut into blocks; so many blocks at a time are computed, then written
    jobs: list[tuple[str, np.ndarray]] = []
    edges = np.flatnonzero(np.append(classes[1:] != classes[:-1], True)) + 1 if len(classes) else []
    for first, last in zip(np.append(0, edges[:-1]), edges):
        jobs += [(classes[first], np.arange(i, min(i + size, last))) for i in range(first, last, size)]
    segments = [jobs[i : i + BLOCKS_HELD] for i in range(0, len(jobs), BLOCKS_HELD)]
    for name in dict.fromkeys(classes):
        scan.on(name)
    if not jobs and inputs:
        scan.on("autosome")
    people = max((len(s.sample_index) for s in inputs), default=0)
    width = scan.width
    binary = any(s.trait == "binary" for s in inputs)
    need = (
        files.n_samples * width * (12 if scan.drop else 4) * (2 if scan.dtype is np.float64 else 1)
        + threads * (size * (files.bytes_per_variant * 2 + 8 * width) + (6 * DECODED if binary else 0))
        + 2 * BLOCKS_HELD * size * 60 * sum(len(s.arms) for s in inputs)
    )
    logger.info(
        "chunk %d: %d variants, %d studies, %d people at most, %d columns; about %.0f MB beside the libraries",
        chunk,
        len(table),
        len(inputs),
        people,
        width,
        need / 1e6,
    )
    progress = Progress(len(table), "variants")

    def work(job: tuple[str, np.ndarray]) -> dict[str, np.ndarray]:
        name, rows = job
        part = scan.coded(read_block(files, index[rows]), name)
        progress.add(len(rows))
        return part

    types = column_types(inputs)
    sample = Sample([(s.name, s.trait, arm) for s in inputs for arm in s.arms], classes, chunk)
    head = table.replace_schema_metadata(None)
    schema = pa.schema([*head.schema, *(pa.field(name, kind) for name, kind in types.items())])

    def rows_of(parts: Sequence[dict[str, np.ndarray]], at: np.ndarray) -> pa.Table:
        arrays = list(head.take(to_arrow(at)).columns)
        columns = {name: np.concatenate([p[name] for p in parts]) for name in types}
        sample.add(columns, at)
        for name, kind in types.items():
            values = columns[name]
            if pa.types.is_dictionary(kind):
                arrays.append(to_words(values, codes.REASONS if name.endswith(".reason") else codes.METHODS))
            else:
                arrays.append(to_arrow(values))
        return pa.Table.from_arrays(arrays, schema=schema)

    # one BLAS thread each: the sums then come out the same whatever the number of threads
    with (
        threadpool_limits(limits=1),
        ThreadPoolExecutor(max_workers=max(threads, 1)) as pool,
        ParquetParts(out, schema) as parts_file,
    ):
        waiting: list[tuple[list[Any], np.ndarray]] = []
        for segment in segments:
            for _, rows in segment:
                files.read_ahead(index[rows])
            jobs_of_segment = [pool.submit(work, job) for job in segment]
            waiting.append((jobs_of_segment, np.concatenate([rows for _, rows in segment])))
            # while one segment is written, the next is computed
            if len(waiting) > 1:
                futures, at = waiting.pop(0)
                parts_file.write(rows_of([f.result() for f in futures], at))
        for futures, at in waiting:
            parts_file.write(rows_of([f.result() for f in futures], at))
        parts_file.metadata = scan.metadata()
        again, start = [read_study_files(*s) for s in studies], time.perf_counter()
        checked = check(sample, again, sex, files, head, settings, pool)
        logger.info("%d results agree with a second implementation (%.1f s)", checked, time.perf_counter() - start)
