"""The sample table beside the genotypes: which column has the IDs, who is in both, and what is in the other columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from deepnull_gwas.cohort.matching import systematic_differences
from deepnull_gwas.cohort.sample_table import LEAST_OVERLAP, SampleTable, as_text, read_sample_table, read_untyped
from deepnull_gwas.cohort.text_table import MISSING
from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.propose.columns import Role, missing_values_of, roles_of

#: Names of columns with IDs, in lower case, the likeliest first.
_ID_NAMES = (
    *("iid", "id", "sample_id", "sampleid", "sample", "eid", "individual", "individual_id", "person", "participant"),
    *("subject", "subject_id", "id_2"),
)
_LOOKS_LIKE_ID = re.compile(r"(?:^|[^a-z])(?:id|iid|fid|eid)(?:$|[^a-z])", re.IGNORECASE)


@dataclass
class Samples:
    """A sample table that was looked at.

    Attributes
    ----------
    path
        Of the table.
    rows
        How many there are.
    sample_id, family_id
        Columns of the IDs.
    common
        How many people are in both.
    missing
        What seems to stand for a missing value beyond the usual, with the reason.
    roles
        What each column could be used as.
    sex
        The column that can serve as the recorded sex, or None.
    sex_note
        What was seen of it.
    notes
        What was decided on the way, and why; what is wrong.
    """

    path: str
    rows: int
    sample_id: str
    family_id: str | None
    common: int
    missing: dict[str, str] = field(default_factory=dict)
    roles: list[Role] = field(default_factory=list)
    sex: str | None = None
    sex_note: str = ""
    notes: list[str] = field(default_factory=list)

    def least_common(self, people: int) -> float:
        """Return how many people have to be in both, of as many with genotypes, for a run to go on."""
        return LEAST_OVERLAP * min(self.rows, people)

    def named(self, *uses: str) -> list[Role]:
        """Return the columns of some uses, in the order of the table."""
        return [role for role in self.roles if role.use in uses]


def look_at_samples(
    path: str,
    people: pd.DataFrame,
    sample_id: str | None = None,
    phenotypes: Sequence[str] = (),
    covariates: Sequence[str] = (),
) -> Samples:
    """Look at a sample table.

    Parameters
    ----------
    path
        Of the table.
    people
        fid, iid and sex of the people with genotypes.
    sample_id
        The column with the IDs, where the user says so.
    phenotypes, covariates
        Columns that the user has named as such.

    Raises
    ------
    InputError
        When the table cannot be read, or has no such columns.
    """
    untyped = read_untyped(path)
    names = untyped.column_names
    for option, wanted in (("--sample-id", [sample_id] if sample_id else []), ("--phenotypes", phenotypes),
                           ("--covariates", covariates)):  # fmt: skip
        for name in wanted:
            if name not in names:
                raise InputError(
                    f"{option}: {path} has no column '{name}'; it has {some(names, 10)}{nearest(name, names)}"
                )
    texts = {n: as_text(untyped.column(n), set(MISSING)).to_pandas() for n in dict.fromkeys(names)}
    sample_id, notes = _id_column(texts, people, sample_id)
    family_id = None
    if people["iid"].duplicated().any():
        family_id = _family_column(texts, people)
        found = f"people are matched by FID and IID (columns {family_id}, {sample_id})"
        lost = "and no column of the table has their FIDs: name it as family_id"
        notes.append(f"IIDs of the genotypes are not unique: {found if family_id else lost}")
    ids = {sample_id, family_id}
    missing = missing_values_of({n: text for n, text in texts.items() if n not in ids})
    table = read_sample_table(path, sample_id, family_id, None, [*MISSING, *missing])
    keys = people["iid"] if family_id is None else people["fid"] + "\t" + people["iid"]
    found = Samples(path, len(table.keys), sample_id, family_id, int(keys.isin(table.keys).sum()), missing, notes=notes)
    found.notes += _overlap(found, table, people, keys)
    columns = {n: table.columns[n].to_numpy() for n in table.columns}
    same = [n for n in columns if n not in phenotypes and texts[n].equals(texts[sample_id])]
    found.roles = roles_of({n: v for n, v in columns.items() if n not in same}, phenotypes, covariates)
    if sexes := found.named("sex"):
        _look_at_sex(found, sexes[0].name, columns[sexes[0].name].dtype == object, people, keys)
    return found


def _id_column(texts: dict[str, pd.Series], people: pd.DataFrame, given: str | None) -> tuple[str, list[str]]:
    """Return the column with the people's IDs, and why it is that one."""
    if given:
        return given, []
    iids = set(people["iid"])
    common = {name: len(iids & set(text.dropna())) for name, text in texts.items()}

    def likely(name: str) -> tuple[int, int]:
        low = name.lower()
        return common[name], -_ID_NAMES.index(low) if low in _ID_NAMES else -len(_ID_NAMES) - (low == "fid")

    best = max(texts, key=likely)
    if common[best]:
        return best, []
    by_name = [n for n in texts if n.lower() in _ID_NAMES] or [n for n in texts if _LOOKS_LIKE_ID.search(n)]
    best = min(by_name, key=lambda n: _ID_NAMES.index(n.lower()) if n.lower() in _ID_NAMES else 99) if by_name else best
    return best, [
        f"no column holds IDs of the genotypes (such as {some(people['iid'], 3)}); {best} is taken by its name"
    ]


def _family_column(texts: dict[str, pd.Series], people: pd.DataFrame) -> str | None:
    """Return the column with the people's FIDs."""
    fids = set(people["fid"])
    common = {name: len(fids & set(text.dropna())) for name, text in texts.items()}
    named = [n for n in texts if n.lower() in ("fid", "#fid", "family", "family_id", "id_1")]
    best = max([*named, *texts], key=lambda n: (n in named, common[n]))
    return best if common[best] else None


def _overlap(found: Samples, table: SampleTable, people: pd.DataFrame, keys: pd.Series) -> list[str]:
    """Return what is to be said of people who are on one side only."""
    smaller = min(len(keys), found.rows)
    if found.common == smaller:
        return []
    outside = people[~keys.isin(table.keys)]
    theirs = table.keys[~table.keys.isin(keys)]
    why = systematic_differences(outside, theirs, found.family_id is not None)
    said = [f"{found.common:,} of {smaller:,} people of the smaller side are in both genotypes and table"]
    said += [str(reason) for reason in why[:3]]
    if found.common < found.least_common(len(keys)) and not why:
        said.append(
            f"below {LEAST_OVERLAP:.0%} a run stops; if the others are other people, set minimum_overlap to "
            f"{int(100 * found.common / smaller) / 100:g}"
        )
    return ["; ".join(said)]


def _look_at_sex(found: Samples, name: str, is_text: bool, people: pd.DataFrame, keys: pd.Series) -> None:
    """Check whether a column can serve as the recorded sex."""
    try:
        table = read_sample_table(found.path, found.sample_id, found.family_id, name, [*MISSING, *found.missing])
    except InputError as error:
        # words that are no sex name groups, as any text does
        found.roles = [replace(r, use="groups") if r.name == name and is_text else r for r in found.roles]
        found.sex_note = (
            f"column {name} cannot serve as the recorded sex, only as a covariate: {str(error).split(': ', 1)[-1]}"
        )
        return
    told = pd.Series(table.sex, index=table.keys)
    told = told[~told.index.duplicated()].reindex(keys).fillna(0).to_numpy()
    recorded = people["sex"].to_numpy()
    new = int(((told > 0) & (recorded == 0)).sum())
    other = int(((told > 0) & (recorded > 0) & (told != recorded)).sum())
    found.sex = name
    parts = [f"tells the sex of {new:,} people of whom the genotype files do not"] if new else []
    if other:
        parts.append(f"differs from the genotype files for {other:,} people: it goes before them; look into these")
    found.sex_note = f"column {name} {' and '.join(parts) or 'agrees with the genotype files'}"
