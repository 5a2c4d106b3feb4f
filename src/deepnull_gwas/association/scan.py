"""The scan: one pass over a chunk of genotypes for all studies of a batch, both arms, with their own people and covariates each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from deepnull_gwas.association.design import Design, StudyDesign, StudyInput, build_design
from deepnull_gwas.association.kernels import cross_missing, sum_missing
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
#: People decoded at once: a tile of genotypes and of the design fits into the second-level cache
PEOPLE_PER_TILE = 4096
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
class _Class:
    """The design of a batch on one class of chromosomes, ready for the scan."""

    name: str
    design: Design
    haploid: np.ndarray | None
    k_tiles: list[tuple[int, int, np.ndarray]]
    column_sums: np.ndarray
    lanes: list[np.ndarray]
    hwe_lanes: list[np.ndarray | None]
    case_lanes: list[np.ndarray | None]


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

    def _prepare(self, name: str) -> _Class:
        male, female, known = self.sex == 1, self.sex == 2, self.sex > 0
        extra, keep, haploid = None, None, None
        if name == "X":
            extra, keep, haploid = {"sex": self.sex.astype(np.float64)}, known, pack_mask(male)
        elif name == "Y":
            keep, haploid = male, pack_mask(male)
        elif name == "MT":
            haploid = pack_mask(np.ones(self.n_people, dtype=bool))
        design = build_design(self.studies, self.n_people, extra, keep)
        for d in design.studies:
            added = name == "X" and d.arms and "sex" not in d.dropped and "sex" not in d.study.covariate_names
            if added:
                d.notes.append("sex was added as a covariate on X")
            for arm, reason in d.failures.items():
                logger.warning("%s (%s), %s arm: not tested: %s", d.study.name, name, arm, reason)
            if d.dropped:
                logger.info("%s (%s): collinear covariates left out: %s", d.study.name, name, ", ".join(d.dropped))
        k = design.k
        tiles = [
            (
                first,
                min(first + PEOPLE_PER_TILE, self.n_people),
                np.ascontiguousarray(k[first : first + PEOPLE_PER_TILE], dtype=self.dtype),
            )
            for first in range(0, self.n_people, PEOPLE_PER_TILE)
        ]
        hwe_lanes, case_lanes = [], []
        for d in design.studies:
            cases = np.zeros(self.n_people, dtype=bool)
            cases[d.sample_index[d.y == 1.0]] = True
            chosen = np.zeros(self.n_people, dtype=bool)
            chosen[d.sample_index] = True
            binary = d.study.trait == "binary"
            case_lanes.append(pack_mask(cases) if binary else None)
            if binary:
                chosen &= ~cases
            if name == "X":
                chosen &= female
            hwe_lanes.append(None if name in ("Y", "MT") else pack_mask(chosen))
        lanes = [pack_mask(mask) for mask in design.masks]
        return _Class(name, design, haploid, tiles, k.sum(axis=0), lanes, hwe_lanes, case_lanes)

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
        if c.haploid is not None:
            packed = without_het_calls(packed, c.haploid)
        b = len(packed)
        counts = [count_genotypes(packed, lanes) for lanes in c.lanes]
        products = np.zeros((b, c.design.k.shape[1]))
        if products.shape[1]:
            for first, last, tile in c.k_tiles:
                dosage = decode(packed[:, first // 4 : (last + 3) // 4], last - first, missing=0.0, dtype=self.dtype)
                products += dosage @ tile
        some_missing = any(count[:, 3].any() for count in counts)
        absent = sum_missing(packed, c.design.k) if some_missing and products.shape[1] else np.zeros_like(products)
        out: dict[str, np.ndarray] = {}
        for i, d in enumerate(c.design.studies):
            self._study(c, i, d, packed, counts[c.design.mask_of[i]], products, absent, out)
        return out

    def _study(
        self,
        c: _Class,
        i: int,
        d: StudyDesign,
        packed: np.ndarray,
        count: np.ndarray,
        products: np.ndarray,
        absent: np.ndarray,
        out: dict,
    ) -> None:
        name, b = d.study.name, len(packed)
        observed = count[:, :3].sum(axis=1)
        copies = 2.0 * count[:, 0] + count[:, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(observed > 0, copies / np.maximum(observed, 1), 0.0)
        # copies as chromosomes, not as dosages: a haploid genotype is one chromosome
        haploid_only = c.name in ("Y", "MT")
        allele_count, chromosomes = copies, 2.0 * observed
        if c.name == "X":
            chosen = np.zeros(self.n_people, dtype=bool)
            chosen[d.sample_index] = True
            men = count_genotypes(packed, pack_mask(chosen & (self.sex == 1)))
            allele_count = copies - men[:, 0]
            chromosomes = 2.0 * observed - men[:, :3].sum(axis=1)
        elif haploid_only:
            allele_count, chromosomes = copies / 2.0, observed.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            frequency = allele_count / chromosomes
        mac = np.minimum(allele_count, chromosomes - allele_count)
        gg = count[:, 1] + 4.0 * count[:, 0] - observed * mean**2
        reason = np.full(b, "", dtype=object)
        limit = float(self.settings.get("min_mac", 0))
        low = mac < limit
        if d.study.trait == "binary":
            case = count_genotypes(packed, c.case_lanes[i])
            case_n = case[:, :3].sum(axis=1)
            case_copies = 2.0 * case[:, 0] + case[:, 1]
            with np.errstate(invalid="ignore", divide="ignore"):
                out[f"{name}.eaf_cases"] = case_copies / (2.0 * case_n)
                out[f"{name}.eaf_controls"] = (copies - case_copies) / (2.0 * (observed - case_n))
            out[f"{name}.n_cases"] = case_n.astype(np.int32)
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
        results = (
            self._binary(d, packed, mean, count, test)
            if d.study.trait == "binary"
            else self._linear(c, i, d, packed, count, mean, gg, products, absent, test)
        )
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

    def _linear(self, c: _Class, i: int, d: StudyDesign, packed, count, mean, gg, products, absent, test) -> dict:
        if not d.arms:
            return {}
        q, y, u = c.design.basis_of[i], c.design.y_column[i], c.design.u_column[i]
        columns = np.r_[np.arange(q.start, q.stop), [u] if u >= 0 else [], [y]].astype(int)
        # centring: the sum over the people with a call is the sum over all less those without
        centred = products[:, columns] - mean[:, None] * (c.column_sums[columns] - absent[:, columns])
        r = q.stop - q.start
        gu = centred[:, r] if u >= 0 else None
        yy, uy = float(d.y_residual @ d.y_residual), float(d.u @ d.y_residual) if d.u is not None else 0.0
        estimates = linear_imputed(centred[:, :r], centred[:, -1], gu, gg, yy, uy, d.n)
        rows = np.flatnonzero(test & (count[:, 3] > 0)) if self.drop else []
        if len(rows):
            self._replace_dropped(c, d, packed, count, products, columns, rows, r, u >= 0, estimates)
        return {arm: (e.beta, e.se, e.neg_log10_p, "linear", e.reason) for arm, e in estimates.items()}

    def _replace_dropped(self, c, d, packed, count, products, columns, rows, r, has_u, estimates) -> None:
        inside = np.zeros(self.n_people)
        inside[d.sample_index] = 1.0
        k = np.column_stack([inside, c.design.k[:, columns]])
        total = k.T @ k
        missing = cross_missing(packed[rows], k)
        observed = count[rows, :3].sum(axis=1)
        copies = 2.0 * count[rows, 0] + count[rows, 1]
        gk = np.column_stack([copies, products[np.ix_(rows, columns)]])
        gg = count[rows, 1] + 4.0 * count[rows, 0]
        base = np.r_[np.arange(1 + r), len(columns)]
        arms = {"baseline": base}
        if has_u:
            arms["deepnull"] = np.r_[np.arange(2 + r), len(columns)]
        done = {}
        for arm, use in arms.items():
            done[arm] = linear_dropped(gk[:, use], missing[:, use][:, :, use], gg, total[np.ix_(use, use)], observed)
        done.setdefault("deepnull", done["baseline"])
        if not has_u:
            estimates["deepnull"] = estimates["baseline"]
        for arm in ("baseline", "deepnull"):
            if not has_u and arm == "deepnull":
                continue
            e, new = estimates[arm], done[arm]
            e.beta[rows], e.se[rows], e.neg_log10_p[rows] = new.beta, new.se, new.neg_log10_p
            e.reason = e.reason.astype(object)
            e.reason[rows] = new.reason

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
            if len(rows):
                e = logistic_block(d.nulls[arm], d.y, g, present)
                p = {"wald": e.neg_log10_p, "lrt": e.neg_log10_p_lrt, "score": e.neg_log10_p_score}[which]
                for target, values in zip(fields, (e.beta, e.se, p)):
                    target[rows] = values
                why[rows] = e.reason
            results[arm] = (*fields, "logistic", why)
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
                    state["notes"] += [note for note in d.notes if note not in state["notes"]]
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
    width = max((c.design.k.shape[1] for c in scan._classes.values()), default=0)
    binary = any(s.trait == "binary" for s in inputs)
    need = files.n_samples * width * 12 + threads * size * (
        files.bytes_per_variant + 4 * PEOPLE_PER_TILE + (60 * min(people, 8192) + 8 * people if binary else 0)
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
