"""Checks of what was published: by a second implementation from the .bed, by the scan in double precision, and by recorded checksums.

The second implementation shares no code with the scan: it reads the bytes of the .bed itself, and tests one variant at a time by plain numpy
(least squares; Newton's method for the logistic likelihood and for Firth's), with tails from scipy.
"""

from __future__ import annotations

import functools
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
from scipy import stats

from deepnull_gwas.association.codes import METHODS
from deepnull_gwas.association.scan import VARIANT_COLUMNS, Scan, chromosome_classes, read_study
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.loci import read_leads
from deepnull_gwas.results.sumstats import DAMAGE, OTHER_ALLELES, text_blocks
from deepnull_gwas.tables import read_json, read_parquet, write_tsv

logger = logging.getLogger(__name__)

#: How far a published number may be from the recomputed one. The scan multiplies in single precision, whose rounding moves an estimate by a few
#: millionths of its standard error (seen: up to 1e-5), and 7 digits are published: the bounds are twenty times that, and still far below what
#: could matter to a reader.
BETA_IN_SE = 2e-4
SE_RELATIVE = 5e-5
#: Of -log10 p: absolute, and relative (an error of z by e moves it by 2 e).
P_ABSOLUTE, P_RELATIVE = 3e-4, 2e-4
FREQUENCY = 1e-6
#: Beyond this the tails of scipy are 0; beta and se, which are compared, say what p is.
P_COMPARABLE = 290.0
#: Lead variants of each study and arm that are checked beside the random ones.
LEADS = 10
LEAD_KEY = ("chromosome", "base_pair_location", "original_id", "effect_allele", "other_allele")
#: Problems named in the message.
NAMED = 8
#: Methods that a row may name, by the study's trait.
METHODS_OF = {"quantitative": {"linear"}, "binary": set(METHODS) - {"", "linear"}}
#: Those that the second implementation knows; the others are compared in double precision only.
METHODS_KNOWN = {"linear", "score", "logistic", "firth"}
_CALLS = np.array([2, -1, 1, 0], dtype=np.int8)


@dataclass
class Study:
    """One study as published, and what its tests are made of: everything from its files, nothing from the scan."""

    name: str
    trait: str
    arms: tuple[str, ...]
    failed: tuple[str, ...]
    people: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    prediction: np.ndarray | None
    folder: Path


@dataclass
class Tally:
    """What was compared for one study and arm, and the largest differences."""

    checked: dict[str, int] = field(
        default_factory=lambda: {"second implementation": 0, "double precision": 0, "not compared": 0}
    )
    beta: float = 0.0
    se: float = 0.0
    p: float = 0.0


# --- the second implementation -----------------------------------------------


def _basis(columns: np.ndarray) -> np.ndarray:
    """Give an orthonormal basis of the columns and the constant; what is collinear adds nothing."""
    centred = columns - columns.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    centred = centred[:, spread > 1e-12 * np.abs(columns).max(axis=0, initial=1.0)]
    one = np.full((len(columns), 1), 1 / np.sqrt(len(columns)))
    if not centred.shape[1]:
        return one
    left, sizes, _ = np.linalg.svd(centred / np.sqrt((centred**2).sum(axis=0)), full_matrices=False)
    return np.hstack([one, left[:, sizes > 1e-6 * sizes[0]]])


def _with_prediction(basis: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Add what a prediction has beyond the basis, if anything."""
    d = prediction - prediction.mean()
    rest = d - basis @ (basis.T @ d)
    rest -= basis @ (basis.T @ rest)
    length = np.linalg.norm(rest)
    return basis if length <= 1e-6 * np.linalg.norm(d) else np.column_stack([basis, rest / length])


def least_squares(basis: np.ndarray, y: np.ndarray, g: np.ndarray) -> tuple[float, float, float]:
    """Regress on the basis and a genotype: beta, standard error, -log10 p from Student's t."""
    g, r = g - basis @ (basis.T @ g), y - basis @ (basis.T @ y)
    length = g @ g
    beta = (g @ r) / length
    rest = r - beta * g
    df = len(y) - basis.shape[1] - 1
    se = np.sqrt(rest @ rest / df / length)
    return beta, se, -(stats.t.logsf(abs(beta) / se, df) + np.log(2)) / np.log(10)


def _newton(
    x: np.ndarray, y: np.ndarray, free: int, firth: bool, start: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Maximise the (penalised) logistic likelihood over the first ``free`` coefficients: coefficients, maximum, information."""

    def at(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        eta = x @ b
        mu = 1 / (1 + np.exp(-eta))
        w = mu * (1 - mu)
        information = (x.T * w) @ x
        value = float(y @ eta - np.logaddexp(0, eta).sum())
        score = y - mu
        if firth:
            value += 0.5 * np.linalg.slogdet(information)[1]
            score = score + w * np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x) * (0.5 - mu)
        return value, x.T @ score, information

    b = start.copy()
    value, score, information = at(b)
    for _ in range(500):
        step = np.linalg.solve(information[:free, :free], score[:free])
        if np.sqrt(max(score[:free] @ step, 0.0)) < 1e-8:
            break
        # with a penalty such steps can be too long: halved until they climb
        for _ in range(40):
            candidate = b.copy()
            candidate[:free] += step
            new = at(candidate)
            if new[0] >= value - 1e-13 * abs(value):
                break
            step /= 2
        b, (value, score, information) = candidate, new
    return b, value, information


def logistic(basis: np.ndarray, y: np.ndarray, g: np.ndarray, method: str) -> tuple[float, float, float]:
    """Regress a 0/1 phenotype on the basis and a genotype by ``score``, ``logistic`` (Wald) or ``firth``: beta, standard error, -log10 p."""
    n, p = basis.shape
    x = np.column_stack([basis * np.sqrt(n), g - g.mean()])
    start = np.zeros(p + 1)
    start[0] = np.log(y.mean() / (1 - y.mean()))
    if method == "firth":
        null, low, _ = _newton(x, y, p, True, start)
        full, high, information = _newton(x, y, p + 1, True, null)
        log_p = stats.chi2.logsf(max(2 * (high - low), 0.0), 1)
        return full[p], np.sqrt(np.linalg.inv(information)[p, p]), -log_p / np.log(10)
    null, _, information = _newton(x, y, p, False, start)
    if method == "score":
        score = x[:, p] @ (y - 1 / (1 + np.exp(-(x @ null))))
        left = 1 / np.linalg.inv(information)[p, p]
        beta, se = score / left, 1 / np.sqrt(left)
    else:
        full, _, information = _newton(x, y, p + 1, False, null)
        beta, se = full[p], np.sqrt(np.linalg.inv(information)[p, p])
    return beta, se, -(stats.norm.logsf(abs(beta) / se) + np.log(2)) / np.log(10)


class Second:
    """The second implementation, on the people of one study and one class of chromosomes.

    Parameters
    ----------
    study
        The study.
    sex
        int8, one a person of the .fam.
    kind
        ``autosome``, ``X``, ``Y`` or ``MT``.
    settings
        ``missing_genotypes`` and ``x_male_copies`` of the config.
    """

    def __init__(self, study: Study, sex: np.ndarray, kind: str, settings: Mapping[str, Any]):
        on = {"X": sex > 0, "Y": sex == 1}.get(kind, np.ones(len(sex), dtype=bool))
        inside = on[study.people]
        self.study, self.kind = study, kind
        self.people, self.y = study.people[inside], study.y[inside]
        self.men = (sex == 1)[self.people]
        self.haploid = {"X": self.men, "Y": self.men, "MT": np.ones(len(self.people), dtype=bool)}.get(
            kind, self.men & False
        )
        covariates = study.covariates[inside]
        if kind == "X":
            covariates = np.column_stack([covariates, sex[self.people].astype(float)])
        self.covariates = covariates
        self.prediction = None if study.prediction is None else study.prediction[inside]
        self.drop = settings.get("missing_genotypes", "impute_mean") == "drop"
        self.halve = kind == "X" and int(settings.get("x_male_copies", 2)) == 1

    @functools.cached_property
    def all_bases(self) -> dict[str, np.ndarray]:
        """Give the bases of both arms for all people; a variant without missing calls needs no other."""
        return self.bases(np.ones(len(self.y), dtype=bool))

    def bases(self, use: np.ndarray) -> dict[str, np.ndarray]:
        """Give the bases of both arms for some of the people."""
        basis = _basis(self.covariates[use])
        deep = basis if self.prediction is None else _with_prediction(basis, self.prediction[use])
        return {"baseline": basis, "deepnull": deep}

    def counts(self, calls: np.ndarray) -> dict[str, float]:
        """Give, by the names of the published columns, numbers of people and frequencies of A1 (NaN where nobody has a call).

        Parameters
        ----------
        calls
            int8, of everybody in the .fam; -1 is missing.
        """
        g = self._called(calls)
        seen = g >= 0
        people = seen if self.drop else np.full(len(g), seen.any())
        single = np.where(self.haploid, 0.5, 1.0)

        def frequency(who: np.ndarray) -> float:
            who = who & seen
            return float((g * single)[who].sum() / (2 * single[who].sum())) if who.any() else float("nan")

        found = {"n": int(people.sum()), "effect_allele_frequency": frequency(seen)}
        if self.study.trait == "binary":
            cases = self.y == 1
            found |= {
                "n_cases": int((people & cases).sum()),
                "effect_allele_frequency_cases": frequency(cases),
                "effect_allele_frequency_controls": frequency(~cases),
            }
        return found

    def _called(self, calls: np.ndarray) -> np.ndarray:
        g = calls[self.people].astype(float)
        g[self.haploid & (g == 1)] = -1
        return g

    def test(self, calls: np.ndarray, arm: str, method: str) -> tuple[float, float, float]:
        """Test one variant by the method that its row names: beta, standard error, -log10 p."""
        g = self._called(calls)
        seen = g >= 0
        if self.halve:
            g[self.men & seen] /= 2
        if self.drop and not seen.all():
            basis, y, g = self.bases(seen)[arm], self.y[seen], g[seen]
        else:
            basis, y = self.all_bases[arm], self.y
            g = np.where(seen, g, g[seen].mean())
        return least_squares(basis, y, g) if method == "linear" else logistic(basis, y, g, method)


def read_calls(prefix: str, row: int, people: int) -> np.ndarray:
    """Read one variant of a .bed: int8, copies of A1 (-1 missing) of everybody in the .fam."""
    width = (people + 3) // 4
    with open(f"{prefix}.bed", "rb") as file:
        file.seek(3 + row * width)
        packed = np.frombuffer(file.read(width), dtype=np.uint8)
    return _CALLS[(packed[:, None] >> np.array([0, 2, 4, 6])) & 3].ravel()[:people]


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


def _differences(row: Mapping[str, str], expected: Sequence[float], tally: Tally) -> Iterator[str]:
    """Compare beta, se and -log10 p of a row with what was recomputed, and say which differ."""
    beta, se, p = expected
    found = [_number(row[c]) for c in ("beta", "standard_error", "neg_log_10_p_value")]
    off = abs(found[0] - beta) / se, abs(found[1] - se) / se, abs(found[2] - p)
    tally.beta, tally.se = max(tally.beta, off[0]), max(tally.se, off[1])
    # `not <=`: what is not a number differs
    if not off[0] <= BETA_IN_SE:
        yield f"beta: found {row['beta']}, expected {beta:.7g} (within {BETA_IN_SE:g} standard errors)"
    if not off[1] <= SE_RELATIVE:
        yield f"standard_error: found {row['standard_error']}, expected {se:.7g} (within {SE_RELATIVE:g} of it)"
    if not min(p, found[2]) > P_COMPARABLE:
        tally.p = max(tally.p, off[2])
        if not off[2] <= P_ABSOLUTE + P_RELATIVE * p:
            yield f"neg_log_10_p_value: found {row['neg_log_10_p_value']}, expected {p:.7g}"


def _read(folder: Path, arms: Sequence[str]) -> Study:
    about, people = read_json(folder / "study.json"), read_parquet(folder / "samples.parquet")
    columns = [c for c in people.columns if c.startswith("cov_")]
    failed, prediction = set(arms) if about["status"] != "ok" else set(), None
    if "deepnull" in arms and not failed:
        if read_json(folder / "deepnull" / "metrics.json").get("status", "ok") != "ok":
            failed.add("deepnull")
        else:
            prediction = read_parquet(folder / "deepnull" / "prediction.parquet")["prediction"].to_numpy(dtype=float)
    return Study(
        about["study"], about["trait"], tuple(arms), tuple(failed), people["sample_index"].to_numpy(),
        people["phenotype"].to_numpy(dtype=float), people[columns].to_numpy(dtype=float), prediction, folder,
    )  # fmt: skip


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
    index = read_json(cohort / "genotypes.json")
    variants = read_parquet(cohort / "variants.parquet", columns=[*VARIANT_COLUMNS])
    passed = read_parquet(cohort / "qc" / "variants.parquet", columns=["index", "passed"])
    sex = read_parquet(cohort / "samples.parquet", columns=["recorded_sex"])["recorded_sex"].to_numpy()
    fileset = Fileset.from_index(cohort / "genotypes.json")
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
            file = int(np.searchsorted(fileset.starts, row["index"], side="right") - 1)
            calls = read_calls(index["filesets"][file], int(row["index"] - fileset.starts[file]), fileset.n_samples)
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
            "largest difference of beta, in se": t.beta, "of se, relative": t.se, "of neg_log_10_p_value": t.p,
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
            result = scan.block(fileset.take(variants["index"].to_numpy()[part]), kind)
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
                    expected = [float(result[f"{at}.{c}"][k]) for c in ("beta", "se", "neg_log10_p")]
                    problems += [
                        f"{name(row, published.path)}: {text}" for text in _differences(found, expected, tally)
                    ]
                    tally.checked["double precision"] += 1
        progress.add(len(rows))
