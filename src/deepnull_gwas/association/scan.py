"""The scan: one pass over a chunk of genotypes for all studies of a batch, both arms, with their own people and covariates each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from deepnull_gwas.association.design import Design, MaskGroup, StudyDesign, StudyInput, build_design
from deepnull_gwas.association.kernels import cross_missing, make_tiles, multiply
from deepnull_gwas.association.linear import linear_dropped, linear_imputed
from deepnull_gwas.association.logistic import logistic_block
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.genotypes.chromosomes import in_par
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.genotypes.kernels import count_genotypes, decode, pack_mask
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import read_json, read_parquet, write_table

logger = logging.getLogger(__name__)

FORMAT = 1
_LOCK = threading.Lock()
VARIANT_COLUMNS = ("index", "chromosome", "position", "id", "effect_allele", "other_allele")


def read_study(
    study_json: str | Path, samples: str | Path, prediction: str | Path | None, arms: Sequence[str]
) -> StudyInput:
    """Read one study as the steps before left it; what failed there stays failed here, with its reason."""
    study = read_json(study_json)
    people = read_parquet(samples)
    status: dict[str, tuple[str, str]] = {}
    if study["status"] != "ok":
        status = dict.fromkeys(arms, ("failed", study["reason"]))
    columns = [c for c in people.columns if c.startswith("cov_")]
    d = None
    if "deepnull" in arms and prediction is not None and "deepnull" not in status:
        table = read_parquet(prediction)
        metrics = Path(prediction).with_name("metrics.json")
        state = read_json(metrics) if metrics.exists() else {"status": "ok"}
        if state.get("status", "ok") != "ok":
            status["deepnull"] = ("failed", state.get("reason", "the prediction failed"))
        elif not np.array_equal(table["sample_index"], people["sample_index"]):
            status["deepnull"] = ("failed", "the prediction is not of the analysed people")
        else:
            d = table["prediction"].to_numpy(np.float64)
    return StudyInput(
        name=study["study"],
        trait=study["trait"],
        arms=tuple(arms),
        sample_index=people["sample_index"].to_numpy(np.int64),
        y=people["phenotype"].to_numpy(np.float64),
        covariates=people[columns].to_numpy(np.float64).reshape(len(people), len(columns)),
        covariate_names=tuple(c.removeprefix("cov_") for c in columns),
        prediction=d,
        arm_status=status,
    )


def chromosome_classes(chromosome: np.ndarray, position: np.ndarray, build: str) -> np.ndarray:
    """Say how each variant is inherited: ``autosome`` (also the pseudo-autosomal regions), ``X``, ``Y`` or ``MT``."""
    chromosome = np.asarray(chromosome, dtype=object)
    out = np.where(np.isin(chromosome, ["X", "Y", "MT"]), chromosome, "autosome")
    return np.where(in_par(chromosome, position, build), "autosome", out)


def without_het_calls(packed: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Turn the heterozygous calls of the people of a mask into missing ones: they are haploid there."""
    low, high = packed & 0x55, (packed >> 1) & 0x55
    het = high & ~low & (lanes & 0x55)
    return packed ^ (het | het << 1)


@dataclass
class _Group:
    """A mask group made ready for the scan: its lanes, and its columns as tiles."""

    group: MaskGroup
    lanes: np.ndarray
    tiles: np.ndarray
    #: [intercept | columns] over the people of the .fam, zero outside the mask, and its cross-products; for dropping missing calls
    rows: np.ndarray | None
    total: np.ndarray | None


@dataclass
class _Class:
    """The design of a batch on one class of chromosomes, made ready for the scan."""

    name: str
    design: Design
    haploid: np.ndarray | None
    groups: list[_Group]
    hwe_lanes: list[np.ndarray | None]
    case_lanes: list[np.ndarray | None]
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
        missing_genotypes, min_mac, hwe_p, exact, and optionally ``test``: ``wald`` (default), ``lrt`` or ``score`` for the p of binary traits.
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
        return sum(g.tiles.shape[1] for c in self._classes.values() for g in c.groups)

    def _prepare(self, name: str) -> _Class:
        male, female, known = self.sex == 1, self.sex == 2, self.sex > 0
        extra, keep, haploid = None, None, None
        if name == "X":
            extra, keep, haploid = {"sex": self.sex.astype(np.float64)}, known, pack_mask(male)
        elif name == "Y":
            keep, haploid = male, pack_mask(male)
        elif name == "MT":
            haploid = pack_mask(np.ones(self.n_people, dtype=bool))
        design = build_design(self.studies, extra, keep)
        for d in design.studies:
            if name == "X" and d.arms and "sex" not in d.dropped:
                d.notes.append("sex was added as a covariate on X")
            if name == "X" and d.n < len(d.study.sample_index):
                d.notes.append(f"{len(d.study.sample_index) - d.n} people without a recorded sex are left out on X")
            if name == "Y":
                d.notes.append(f"on Y the {d.n} recorded males are analysed")
            for arm, reason in d.failures.items():
                logger.warning("%s (%s), %s arm: not tested: %s", d.study.name, name, arm, reason)
            if d.dropped:
                logger.info("%s (%s): collinear covariates left out: %s", d.study.name, name, ", ".join(d.dropped))
        hwe_lanes, case_lanes = [], []
        for d in design.studies:
            cases = self._lanes(d.sample_index[d.y == 1.0])
            controls = self._lanes(d.sample_index[d.y == 0.0])
            binary = d.study.trait == "binary"
            case_lanes.append(cases if binary else None)
            tested = controls if binary else self._lanes(d.sample_index)
            if name == "X":
                tested = tested & pack_mask(female)
            hwe_lanes.append(None if name in ("Y", "MT") else tested)
        groups = [self._group(g) for g in design.groups]
        return _Class(name, design, haploid, groups, hwe_lanes, case_lanes, [0] * len(design.studies))

    def _lanes(self, index: np.ndarray) -> np.ndarray:
        chosen = np.zeros(self.n_people, dtype=bool)
        chosen[index] = True
        return pack_mask(chosen)

    def _group(self, group: MaskGroup) -> _Group:
        tiles = make_tiles(self.n_people, group.sample_index, group.columns, self.dtype)
        rows = total = None
        if self.drop and group.columns.shape[1]:
            k = np.column_stack([np.ones(len(group.sample_index)), group.columns])
            total = k.T @ k
            rows = np.zeros((self.n_people, k.shape[1]))
            rows[group.sample_index] = k
        return _Group(group, self._lanes(group.sample_index), tiles, rows, total)

    def block(self, packed: np.ndarray, name: str) -> dict[str, np.ndarray]:
        """Test a block of variants of one class.

        Parameters
        ----------
        packed
            uint8, variants x bytes.
        name
            Class of chromosomes.

        Returns
        -------
        Columns of the result, by name, each with one value a variant.
        """
        c = self.on(name)
        packed = np.ascontiguousarray(packed)
        hets = None
        if c.haploid is not None:
            hets = [int(count_genotypes(packed, g.lanes & c.haploid)[:, 1].sum()) for g in c.groups]
            packed = without_het_calls(packed, c.haploid)
        out: dict[str, np.ndarray] = {}
        for j, g in enumerate(c.groups):
            count = count_genotypes(packed, g.lanes)
            observed = count[:, :3].sum(axis=1)
            mean = (2.0 * count[:, 0] + count[:, 1]) / np.maximum(observed, 1)
            products = multiply(packed, mean, g.tiles)
            for i in g.group.members:
                self._study(c, g, i, packed, count, mean, products, out)
                if hets is not None:
                    with _LOCK:
                        c.het_calls[i] += hets[j]
        return out

    def _study(
        self,
        c: _Class,
        g: _Group,
        i: int,
        packed: np.ndarray,
        count: np.ndarray,
        mean: np.ndarray,
        products: np.ndarray,
        out: dict,
    ) -> None:
        d = c.design.studies[i]
        name, b = d.study.name, len(packed)
        observed = count[:, :3].sum(axis=1)
        allele_count, chromosomes = self._alleles(c, packed, count, g.lanes)
        with np.errstate(invalid="ignore", divide="ignore"):
            frequency = allele_count / chromosomes
        mac = np.minimum(allele_count, chromosomes - allele_count)
        gg = count[:, 1] + 4.0 * count[:, 0] - observed * mean**2
        reason = np.full(b, "", dtype=object)
        limit = float(self.settings.get("min_mac", 0))
        low = mac < limit
        if d.study.trait == "binary":
            case = count_genotypes(packed, c.case_lanes[i])
            case_alleles, case_chromosomes = self._alleles(c, packed, case, c.case_lanes[i])
            with np.errstate(invalid="ignore", divide="ignore"):
                out[f"{name}.eaf_cases"] = case_alleles / case_chromosomes
                out[f"{name}.eaf_controls"] = (allele_count - case_alleles) / (chromosomes - case_chromosomes)
            cases = case[:, :3].sum(axis=1) if self.drop else int((d.y == 1.0).sum())
            out[f"{name}.n_cases"] = np.where(observed > 0, cases, 0).astype(np.int32)
        threshold = float(self.settings.get("hwe_p", 0.0))
        if threshold > 0 and c.hwe_lanes[i] is not None:
            h = count_genotypes(packed, c.hwe_lanes[i])
            reason[hwe_exact(h[:, 1], h[:, 0], h[:, 2]) < threshold] = "hwe"
        reason[low] = "low_mac"
        reason[(gg <= 0) | (mac <= 0)] = "constant"
        reason[observed == 0] = "no_calls"
        out[f"{name}.n"] = (observed if self.drop else np.where(observed > 0, d.n, 0)).astype(np.int32)
        out[f"{name}.eaf"] = frequency
        test = reason == ""
        if d.study.trait == "binary":
            results = self._binary(d, packed, mean, count, test)
        else:
            results = self._linear(g, i, d, packed, count, gg, products, test)
        for arm in d.study.arms:
            key = f"{name}.{arm}"
            if arm in d.failures or arm not in results:
                out[f"{key}.beta"] = out[f"{key}.se"] = out[f"{key}.neg_log10_p"] = np.full(b, np.nan)
                out[f"{key}.method"] = np.full(b, "", dtype=object)
                out[f"{key}.reason"] = np.full(b, "study_failed", dtype=object)
                continue
            beta, se, p, method, why = results[arm]
            why = np.where(reason != "", reason, why).astype(object)
            # an estimate that is not a number has a reason, always
            bad = (why == "") & ~(np.isfinite(beta) & np.isfinite(se) & np.isfinite(p) & (se > 0))
            why[bad] = "not_converged"
            untested = why != ""
            for column, values in (("beta", beta), ("se", se), ("neg_log10_p", p)):
                out[f"{key}.{column}"] = np.where(untested, np.nan, values)
            out[f"{key}.method"] = np.where(untested, "", method).astype(object)
            out[f"{key}.reason"] = why

    def _alleles(
        self, c: _Class, packed: np.ndarray, count: np.ndarray, lanes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count effect alleles and chromosomes among the people of a mask: a haploid genotype is one chromosome, not two."""
        alleles = 2.0 * count[:, 0] + count[:, 1]
        chromosomes = 2.0 * count[:, :3].sum(axis=1)
        if c.name == "X":
            men = count_genotypes(packed, lanes & c.haploid)
            alleles -= men[:, 0]
            chromosomes -= men[:, :3].sum(axis=1)
        elif c.haploid is not None:
            alleles /= 2.0
            chromosomes /= 2.0
        return alleles, chromosomes

    def _linear(self, g: _Group, i: int, d: StudyDesign, packed, count, gg, products, test) -> dict:
        if not d.arms:
            return {}
        q, y, u = g.group.basis_of[i], g.group.y_of[i], g.group.u_of[i]
        gu = None if u is None else products[:, u]
        yy, uy = float(d.y_residual @ d.y_residual), 0.0 if u is None else float(d.u @ d.y_residual)
        estimates = linear_imputed(products[:, q], products[:, y], gu, gg, yy, uy, d.n)
        rows = np.flatnonzero(test & (count[:, 3] > 0)) if self.drop else []
        if len(rows):
            basis = np.arange(q.start, q.stop)
            arms = {"baseline": np.r_[basis, y]}
            if u is not None:
                arms["deepnull"] = np.r_[basis, u, y]
            missing = cross_missing(packed[rows], g.rows)
            observed = count[rows, :3].sum(axis=1)
            for arm, use in arms.items():
                k = np.r_[0, 1 + use]
                new = linear_dropped(
                    products[np.ix_(rows, use)], missing[:, k][:, :, k], gg[rows], g.total[np.ix_(k, k)], observed
                )
                estimates[arm].put(rows, new)
        return {arm: (e.beta, e.se, e.neg_log10_p, "linear", e.reason) for arm, e in estimates.items()}

    def _binary(
        self, d: StudyDesign, packed: np.ndarray, mean: np.ndarray, count: np.ndarray, test: np.ndarray
    ) -> dict:
        b = len(packed)
        results = {}
        rows = np.flatnonzero(test)
        g = decode(packed[rows], self.n_people, dtype=np.float64)[:, d.sample_index]
        present = ~np.isnan(g) if self.drop and count[rows, 3].any() else None
        g -= mean[rows, None]
        np.nan_to_num(g, copy=False, nan=0.0)
        for arm in d.arms:
            fields = [np.full(b, np.nan) for _ in range(3)]
            why = np.full(b, "", dtype=object)
            which = self.settings.get("test", "wald")
            method = np.full(b, "logistic", dtype=object)
            # the other tests are of the full fit
            refine_below = float(self.settings.get("refine_below", 1.0)) if which == "wald" else 1.0
            if len(rows):
                e = logistic_block(d.nulls[arm], d.y, g, present, refine_below)
                method[rows] = e.method
                p = {"wald": e.neg_log10_p, "lrt": e.neg_log10_p_lrt, "score": e.neg_log10_p_score}[which]
                for target, values in zip(fields, (e.beta, e.se, p)):
                    target[rows] = values
                why[rows] = e.reason
            results[arm] = (*fields, method, why)
        return results

    def metadata(self) -> dict[str, Any]:
        """Say of each study and arm what its null model came to, for the head of the result."""
        studies = {}
        for i, study in enumerate(self.studies):
            arms = {}
            for arm in study.arms:
                state = {"status": "ok", "reason": "", "dropped_covariates": [], "notes": []}
                for name, c in self._classes.items():
                    d = c.design.studies[i]
                    if arm in d.failures and (name == "autosome" or "autosome" not in self._classes):
                        state["status"], state["reason"] = "failed", d.failures[arm]
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


def empty_columns(studies: Sequence[StudyInput]) -> dict[str, np.ndarray]:
    """Give the columns of a result without rows."""
    out: dict[str, np.ndarray] = {}
    for s in studies:
        out[f"{s.name}.n"] = np.empty(0, np.int32)
        out[f"{s.name}.eaf"] = np.empty(0)
        if s.trait == "binary":
            out[f"{s.name}.n_cases"] = np.empty(0, np.int32)
            out[f"{s.name}.eaf_cases"] = np.empty(0)
            out[f"{s.name}.eaf_controls"] = np.empty(0)
        for arm in s.arms:
            for column in ("beta", "se", "neg_log10_p"):
                out[f"{s.name}.{arm}.{column}"] = np.empty(0)
            for column in ("method", "reason"):
                out[f"{s.name}.{arm}.{column}"] = np.empty(0, dtype=object)
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

    Parameters
    ----------
    genotypes, variants, samples
        genotypes.json, variants.parquet, samples.parquet of the cohort.
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
    table = read_parquet(variants)
    table = table[table["chunk"] == chunk]
    if qc_variants is not None:
        verdict = read_parquet(qc_variants, columns=["index", "passed"]).set_index("index")["passed"]
        table = table[verdict.reindex(table["index"]).fillna(False).to_numpy(dtype=bool)]
    sex = read_parquet(samples, columns=["recorded_sex"])["recorded_sex"].to_numpy()
    files = Fileset.from_index(genotypes)
    scan = Scan(inputs, sex, settings)
    classes = chromosome_classes(table["chromosome"].to_numpy(), table["position"].to_numpy(), settings["genome_build"])
    index = table["index"].to_numpy()
    size = int(settings.get("variants_per_block", 512))
    jobs = []
    for name in ("autosome", "X", "Y", "MT"):
        rows = np.flatnonzero(classes == name)
        jobs += [(name, rows[first : first + size]) for first in range(0, len(rows), size)]
        if len(rows):
            scan.on(name)
    if not jobs and inputs:
        scan.on("autosome")
    people = max((len(s.sample_index) for s in inputs), default=0)
    width = scan.width
    binary = any(s.trait == "binary" for s in inputs)
    need = files.n_samples * width * (12 if scan.drop else 4) + threads * size * (
        files.bytes_per_variant + 8 * width + (60 * min(people, 8192) + 8 * people if binary else 0)
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
    parts: list[dict[str, np.ndarray] | None] = [None] * len(jobs)

    def work(j: int) -> None:
        name, rows = jobs[j]
        parts[j] = scan.block(files.take(index[rows]), name)
        progress.add(len(rows))

    # one BLAS thread each: the sums then come out the same whatever the number of threads
    with threadpool_limits(limits=1), ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for _ in pool.map(work, range(len(jobs))):
            pass
    order = np.concatenate([rows for _, rows in jobs]) if jobs else np.empty(0, dtype=int)
    back = np.argsort(order, kind="stable")
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in VARIANT_COLUMNS}
    for name, empty in empty_columns(inputs).items():
        values = np.concatenate([p[name] for p in parts])[back] if parts else empty
        if values.dtype == object:
            columns[name] = pa.array(values.tolist(), type=pa.string()).dictionary_encode()
        else:
            columns[name] = values
    write_table(pa.table(columns), out, metadata=scan.metadata())
