"""DeepNull predictions for a table of the user's own: what `deepnull-gwas predict` does. The table comes back with one more column a target."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.cohort.families import names_of_families
from deepnull_gwas.cohort.text_table import UNPACKED_BYTES, UNPACKED_TIMES, read_text
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.explain import calibration
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, original_folds
from deepnull_gwas.deepnull.metrics import in_words, measure
from deepnull_gwas.deepnull.recipe import ORIGINAL, Recipe
from deepnull_gwas.errors import InputError, InputErrors, StudyFailure, nearest, some
from deepnull_gwas.tables import atomic_path, write_json, write_npz
from deepnull_gwas.text import is_number, shorten

logger = logging.getLogger(__name__)

SUFFIX = "_deepnull"
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "NULL", "null", ".")
FORMAT = 1


@dataclass
class Table:
    """A table as text: its lines stay as they are.

    Attributes
    ----------
    path
        Where it was read from.
    header, lines
        Header and rows, without line ends.
    names
        Names of the columns, a ``#`` before the first taken off.
    rows
        The same rows, split.
    delimiter
        Tab, comma or space (any run of blanks).
    family
        Whether the first column is the FID.
    """

    path: Path
    header: str
    lines: list[str]
    names: list[str]
    rows: list[list[str]]
    delimiter: str
    family: bool

    @property
    def people(self) -> list[str]:
        """FID and IID, or IID alone, of each row."""
        return [" ".join(r[: 1 + self.family]) for r in self.rows]

    def column(self, name: str) -> list[str]:
        """Give the values of a column as text."""
        at = self.names.index(name)
        return [r[at] for r in self.rows]


def read_people_table(path: str | Path) -> Table:
    """Read a table whose first columns are FID and IID, or IID alone; tabs, commas or blanks; also gzipped.

    Raises
    ------
    InputError
        When it cannot be read, has no such columns, a row of another length than the header, or a person twice.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a table")
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such file{nearest(path.name, names)}")
    text = read_text(path).decode()
    lines = [line.rstrip("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path}: is empty; expected a header with FID, IID, target and covariates")
    header, *lines = lines
    delimiter = "\t" if "\t" in header else "," if "," in header else " "
    split = (
        (lambda line: line.split()) if delimiter == " " else (lambda line: [c.strip() for c in line.split(delimiter)])
    )
    names = split(header)
    names[0] = names[0].removeprefix("#")
    family = names[0] == "FID"
    if names[: 1 + family] != (["FID", "IID"] if family else ["IID"]):
        raise InputError(
            f"{path}: the first columns are {', '.join(names[:2])}; expected FID and IID, or IID alone (a # before the first is fine). "
            f"{'Is the header missing?' if not any(c.isalpha() for c in ''.join(names)) else 'Rename or move the ID columns'}"
        )
    if twice := [n for n in dict.fromkeys(names) if names.count(n) > 1]:
        raise InputError(f"{path}: columns are there more than once: {some(twice)}; rename or remove them")
    if not lines:
        raise InputError(f"{path}: has a header but no rows")
    rows = [split(line) for line in lines]
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            hint = "; an empty value in a table separated by spaces must be written as NA" if delimiter == " " else ""
            raise InputError(f"{path}: row {number} has {len(row)} values, the header {len(names)}{hint}")
    table = Table(path, header, lines, names, rows, delimiter, family)
    people = table.people
    if len(set(people)) < len(people):
        seen: set[str] = set()
        doubled = [p for p in people if p in seen or seen.add(p)]
        raise InputError(
            f"{path}: {len(doubled)} people are there more than once ({some(dict.fromkeys(doubled))}); one row a person"
        )
    return table


def _numbers(table: Table, name: str, missing: Sequence[str], hint: str) -> np.ndarray:
    out = np.empty(len(table.rows))
    for i, value in enumerate(table.column(name)):
        if value in missing:
            out[i] = np.nan
            continue
        # not what Python takes for a number: 1_000, nan, digits of other scripts
        wrong = "is no number" if not is_number(value) else "is not finite" if np.isinf(float(value)) else ""
        if wrong:
            raise InputError(
                f"{table.path}: row {i + 2} ({shorten(table.people[i])}), column '{name}': '{shorten(value)}' {wrong}; {hint}, or add it to --missing"
            )
        out[i] = float(value)
    return out


def _target(table: Table, name: str, trait: str, missing: Sequence[str]) -> np.ndarray:
    y = _numbers(table, name, missing, "a target holds numbers")
    if trait == "quantitative":
        return y
    values = sorted(set(y[~np.isnan(y)].tolist()))
    if values == [1.0, 2.0]:
        return y - 1
    if values != [0.0, 1.0]:
        shown = some(f"{v:g} ({int((y == v).sum())} people)" for v in values)
        raise InputError(
            f"{table.path}: column '{name}': a binary target holds 0 (control) and 1 (case), or 1 and 2 (case); found {shown or 'no values'}"
            + ("; if -9 means missing, give --missing NA,-9" if -9.0 in values else "")
        )
    return y


def _encode(
    table: Table, covariates: Sequence[str], levels: Mapping[str, Sequence[str] | None], missing: Sequence[str]
) -> tuple[np.ndarray, list[str], dict[str, int]]:
    """Give covariates as numbers (NaN where missing, or of an unknown level), their names, and how many people have an unknown level of each."""
    columns, names, unknown = [], [], {}
    for name in covariates:
        known = levels[name]
        if known is None:
            columns.append(_numbers(table, name, missing, "list it in --categorical if its values are names of groups"))
            names.append(name)
            continue
        values = np.array(table.column(name), dtype=object)
        absent = ~np.isin(values, list(known))
        there = np.array([v not in missing for v in values])
        if (absent & there).any():
            unknown[name] = int((absent & there).sum())
        for level in known[1:]:
            column = (values == level).astype(float)
            column[absent] = np.nan
            columns.append(column)
            names.append(f"{name}[{level}]")
    return np.column_stack(columns) if columns else np.zeros((len(table.rows), 0)), names, unknown


def _digest(people: Sequence[str], salt: int) -> np.ndarray:
    text = [hashlib.sha256(f"{salt}\x1f{p}".encode()).digest()[:8] for p in people]
    return np.sort(np.frombuffer(b"".join(text), dtype=">u8").astype(np.uint64))


def _write(table: Table, out: str | Path, added: Mapping[str, np.ndarray]) -> None:
    def text(values: Sequence[str]) -> str:
        return table.delimiter + table.delimiter.join(values)

    columns = [["NA" if np.isnan(v) else repr(float(v)) for v in values] for values in added.values()]
    lines = [table.header.rstrip(" ") + text(list(added))]
    for i, line in enumerate(table.lines):
        lines.append((line.rstrip(" ") if table.delimiter == " " else line) + text([c[i] for c in columns]))
    content = ("\n".join(lines) + "\n").encode()
    with atomic_path(out) as temporary:
        # without a time in it, so that the same input gives the same bytes
        temporary.write_bytes(gzip.compress(content, mtime=0) if str(out).endswith(".gz") else content)


def _check_names(
    table: Table, out: str | Path, targets: Sequence[str], covariates: Sequence[str], new: Sequence[str]
) -> None:
    problems = []
    for kind, names in (("target", targets), ("covariate", covariates)):
        for name in names:
            if name not in table.names:
                problems.append(
                    f"{table.path}: no column '{name}' ({kind}); found {some(table.names, 20)}{nearest(name, table.names)}"
                )
    for name in set(targets) & set(covariates):
        problems.append(f"'{name}' is both target and covariate")
    for name in new:
        if name in table.names:
            problems.append(
                f"{table.path}: column '{name}' is there already and is not overwritten; remove or rename it"
            )
    if Path(out).resolve() == table.path.resolve():
        problems.append(f"{out}: input and output are one file; give another --output")
    if problems:
        raise InputErrors(problems) if len(problems) > 1 else InputError(problems[0])


def predict_table(
    path: str | Path,
    out: str | Path,
    targets: Sequence[str],
    covariates: Sequence[str],
    traits: Sequence[str],
    categorical: Sequence[str] = (),
    folds: int | None = None,
    seed: int = 1,
    model: str = "auto",
    recipe: Mapping[str, Any] | str | None = None,
    missing: Sequence[str] = MISSING,
    device: str = "auto",
    metrics: str | Path | None = None,
    save_model: str | Path | None = None,
) -> dict[str, Any]:
    """Predict targets from covariates, out of fold, and write the table with one more column ``<target>_deepnull`` each.

    Parameters
    ----------
    path, out
        The table (see :func:`read_people_table`), and where it goes. Rows and columns stay as they are.
    targets, traits
        Columns to predict, and ``quantitative`` or ``binary`` for each.
    covariates, categorical
        Columns to predict from, and those of them whose values are names of groups.
    folds, seed, model, recipe, device
        As in the config's ``deepnull`` section.
    missing
        What stands for a missing value.
    metrics, save_model
        Files to write the metrics (JSON) and the models (.npz) to.

    Returns
    -------
    The metrics by target. People of one FID share a fold. Binary targets are predicted as logits. Somebody with a missing covariate gets NA;
    somebody with a missing target the mean over the models of all folds.

    Raises
    ------
    InputError
        When table, columns or values do not fit.
    """
    table = read_people_table(path)
    new = [f"{t}{SUFFIX}" for t in targets]
    _check_names(table, out, targets, covariates, new)
    if absent := [c for c in categorical if c not in covariates]:
        raise InputError(f"--categorical: {some(absent)} not among --covariates ({', '.join(covariates)})")
    ys = {t: _target(table, t, trait, missing) for t, trait in zip(targets, traits, strict=True)}
    levels = {c: sorted(set(table.column(c)) - set(missing)) if c in categorical else None for c in covariates}
    x, names, _ = _encode(table, covariates, levels, missing)
    complete = ~np.isnan(x).any(axis=1)
    lacking = {
        c: int(np.isnan(x[:, [i for i, n in enumerate(names) if n == c or n.startswith(f"{c}[")]]).any(axis=1).sum())
        for c in covariates
    }
    fid = [r[0] for r in table.rows] if table.family else ["0"] * len(table.rows)
    families = names_of_families(fid, table.people, kinship=False)
    groups = [p if f.startswith("\x1e") else f"family {f}" for f, p in zip(families, table.people)]
    original = recipe == ORIGINAL
    how = ORIGINAL if original else Recipe.from_dict(recipe or {})
    added: dict[str, np.ndarray] = {}
    report: dict[str, Any] = {}
    if folds is None:
        used = {t: y[complete & ~np.isnan(y)] for t, y in ys.items()}
        # one number for all targets: a model that is saved has one
        folds = min(default_folds(used[t], trait, original) for t, trait in zip(targets, traits))
    saved: dict[str, np.ndarray] = {}
    for target, trait in zip(targets, traits):
        y = ys[target]
        use = complete & ~np.isnan(y)
        if use.sum() < 10 * folds:
            raise InputError(
                f"{path}: {int(use.sum())} people have target '{target}' and all covariates; {folds} folds need at least {10 * folds}"
            )
        rows = np.flatnonzero(use)
        own_seed = derive_seed(seed, target)
        if original:
            fold = original_folds([table.rows[i][1 if table.family else 0] for i in rows], folds, seed)
        else:
            stratum = y[rows].astype(int) if trait == "binary" else None
            names_of_rows = [table.people[i] for i in rows]
            fold = assign_folds(names_of_rows, folds, own_seed, [groups[i] for i in rows], stratum)
        try:
            prediction, each, results = crossfit(
                x[rows], y[rows], fold, how, own_seed, trait, model, True, names, device
            )
        except StudyFailure as failure:
            raise InputError(f"{path}: target '{target}': {failure.reason}") from None
        others = np.flatnonzero(complete & np.isnan(y))
        column = np.full(len(table.rows), np.nan)
        column[rows] = prediction
        if len(others):
            column[others] = np.mean([r.model.predict(x[others]) for r in results], axis=0)
        if original and trait == "binary":
            column = 1 / (1 + np.exp(-column))
        added[f"{target}{SUFFIX}"] = column
        report[target] = {
            "trait": trait,
            "scale": "phenotype" if trait == "quantitative" else "probability" if original else "logit",
            "people": {
                "in the table": len(table.rows),
                "out of fold": len(rows),
                "without target, predicted by all folds": len(others),
                "without a covariate, not predicted": int((~complete).sum()),
            },
            "missing_covariates": lacking,
            "seed": own_seed,
            "model": ORIGINAL if original else model,
            "prediction": measure(y[rows], prediction, trait),
            "models": {name: measure(y[rows], values, trait) for name, values in each.items()},
            "folds": [
                {
                    "fold": f,
                    "people": r.history["people"],
                    "prediction": r.history["metrics"],
                    "weights": r.history["weights"],
                }
                for f, r in enumerate(results)
            ],
            "calibration": calibration(y[rows], prediction, trait),
        }
        for f, r in enumerate(results):
            saved |= {f"{target}/{f}/{k}": v for k, v in r.model.arrays().items()}
        saved[f"{target}/people"] = _digest([table.people[i] for i in rows], own_seed)
        logger.info("%s: %s out of fold", target, in_words(report[target]["prediction"]))
    if save_model is not None:
        head = {
            "format": FORMAT,
            "targets": {
                t: {"trait": report[t]["trait"], "scale": report[t]["scale"], "salt": report[t]["seed"]}
                for t in targets
            },
            "folds": folds,
            "covariates": list(covariates),
            "levels": levels,
            "family": table.family,
        }
        write_npz(save_model, predict=np.array(json.dumps(head)), **saved)
    if metrics is not None:
        write_json(report, metrics)
    _write(table, out, added)
    return report


def apply_model(
    path: str | Path,
    out: str | Path,
    model: str | Path,
    missing: Sequence[str] = MISSING,
    metrics: str | Path | None = None,
) -> dict[str, Any]:
    """Apply saved models to people that they were not trained on: the mean over the models of all folds.

    Parameters
    ----------
    path, out
        The table, and where it goes with one more column a target.
    model
        What ``save_model`` of :func:`predict_table` wrote.
    missing, metrics
        As for :func:`predict_table`.

    Returns
    -------
    Counts by target: NA where a covariate is missing or of a level that the training people did not have.

    Raises
    ------
    InputError
        When the table does not fit the model, or has people that it was trained on (their prediction would not be out of fold).
    """
    head, models, known_people = _load(model)
    table = read_people_table(path)
    _check_names(table, out, [], head["covariates"], [f"{t}{SUFFIX}" for t in head["targets"]])
    x, _, unknown = _encode(table, head["covariates"], head["levels"], missing)
    complete = np.flatnonzero(~np.isnan(x).any(axis=1))
    added, report = {}, {}
    for target, about in head["targets"].items():
        if table.family == head["family"]:
            known = np.isin(_digest(table.people, about["salt"]), known_people[target])
            if known.any():
                raise InputError(
                    f"{path}: {int(known.sum())} people were among those that the model of '{target}' was trained on; a prediction of them would hold "
                    "their own phenotype's noise. Take their out-of-fold prediction from the output of the training, and leave them out here"
                )
        column = np.full(len(table.rows), np.nan)
        try:
            total = np.sum([m.predict(x[complete]) for m in models[target]], axis=0)
        except _NO_MODEL as error:
            raise InputError(f"{model}: damaged ({_why(error)}); train it again") from None
        column[complete] = total / head["folds"]
        added[f"{target}{SUFFIX}"] = 1 / (1 + np.exp(-column)) if about["scale"] == "probability" else column
        report[target] = {"people": len(table.rows), "predicted": len(complete), "unknown_levels": unknown}
    if unknown:
        logger.warning("levels that the training people did not have: %s; these people get NA", unknown)
    if metrics is not None:
        write_json(report, metrics)
    _write(table, out, added)
    return report


#: What reading or applying arrays may raise that are not what a model is made of.
_NO_MODEL = (
    ArithmeticError, AttributeError, EOFError, KeyError, IndexError, MemoryError, OSError, RecursionError, TypeError, ValueError, NotImplementedError,
    RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _why(error: BaseException) -> str:
    return shorten(f"{type(error).__name__}: {error}", 200)


def _load(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Any]], dict[str, np.ndarray]]:
    """Read a saved model: what it says of itself, the models of the folds by target, and the digests of the people it was trained on.

    It is data from elsewhere: arrays and JSON only, nothing pickled.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            size, limit = sum(f.file_size for f in archive.infolist()), UNPACKED_TIMES * Path(path).stat().st_size
        if size > max(UNPACKED_BYTES, limit):
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as data:
            head = json.loads(str(data["predict"]))
            if head["format"] != FORMAT:
                raise InputError(f"{path}: format {shorten(head['format'])}, expected {FORMAT}; train it again")
            arrays = {k: data[k] for k in data.files}
        targets, folds = dict(head["targets"]), int(head["folds"])
        if folds < 1 or not targets or not all(isinstance(c, str) for c in [*targets, *head["covariates"]]):
            raise ValueError("it names no folds, targets or covariates")
        people = {t: arrays[f"{t}/people"] for t in targets}
        parts = {t: [f"{t}/{f}/" for f in range(min(folds, len(arrays)))] for t in targets}
        if folds > len(arrays) or set(head["levels"]) != set(head["covariates"]):
            raise ValueError("its parts do not fit together")
        models = {
            t: [_model({k.removeprefix(at): v for k, v in arrays.items() if k.startswith(at)}) for at in parts[t]]
            for t in targets
        }
        about = {
            t: {"salt": int(a["salt"]), "scale": str(a["scale"]), "trait": str(a["trait"])} for t, a in targets.items()
        }
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except _NO_MODEL as error:
        raise InputError(
            f"{path}: not a model that `deepnull-gwas predict --save-model` wrote ({_why(error)})"
        ) from None
    return head | {"folds": folds, "targets": about, "family": bool(head.get("family"))}, models, people


def _model(arrays: dict[str, np.ndarray]) -> Any:
    if "original.trait" in arrays:
        from deepnull_gwas.deepnull.original import OriginalModel

        return OriginalModel.from_arrays(arrays)
    from deepnull_gwas.deepnull.models import FoldModel

    return FoldModel.from_arrays(arrays)


def names_of(text: str) -> list[str]:
    """Split a list of the command line: commas, blanks around them ignored."""
    return [part for part in re.split(r"\s*,\s*", text.strip()) if part]
