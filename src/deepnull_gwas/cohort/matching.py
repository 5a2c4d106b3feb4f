"""IDs that differ between two tables for one systematic reason: zeros lost, a prefix, upper and lower case, FID_IID."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from deepnull_gwas.text import is_number, shorten

#: So many IDs of each side are looked at to find a common prefix or suffix, so long at most; it has to explain that
#: share of them, or nearly all if it is a number (numbers that are counted up share their ends by chance).
_LOOKED_AT, _LONGEST, _SHARE, _SHARE_OF_NUMBERS = 2000, 24, 0.1, 0.9


@dataclass(frozen=True)
class Difference:
    """A reason for which IDs do not match, and whom it concerns.

    Attributes
    ----------
    text
        The reason, in words.
    pairs
        ID in the table, ID in the genotypes.
    """

    text: str
    pairs: Sequence[tuple[str, str]]

    def __str__(self) -> str:
        shown = ", ".join(f"{shorten(a, 30)} for {shorten(b, 30)}" for a, b in self.pairs[:3])
        if len(self.pairs) > 3:
            shown += f" and {len(self.pairs) - 3:,} more"
        return f"{len(self.pairs):,} would match but that {self.text} ({shown})".replace("\t", " ")


def systematic_differences(fam: pd.DataFrame, table: Iterable[str], by_family: bool = False) -> list[Difference]:
    """Find why people of a table are not found among those of the genotypes.

    Parameters
    ----------
    fam
        fid and iid of the people of the genotypes whom the table does not have.
    table
        IDs of the table that the genotypes do not have: the IID, or FID and IID with a tab between them.
    by_family
        Whether they hold the FID.

    Returns
    -------
    The reasons, the one that explains most first; each ID of the table is explained by one at most. An ID that could be
    two people is not explained.
    """
    people = list(zip(fam["fid"].astype(str), fam["iid"].astype(str)))
    left = dict.fromkeys(table)
    found = []
    for text, of_people, of_table in _reasons(by_family):
        names = [of_people(f, i) for f, i in people]
        twice = {name for name, count in Counter(names).items() if count > 1}
        place = {name: index for index, name in enumerate(names) if name is not None and name not in twice}
        pairs, taken = [], set()
        for key in left:
            name = of_table(key)
            if name in place and place[name] not in taken:
                taken.add(place[name])
                pairs.append((key, _spelled(*people[place[name]], by_family)))
        if pairs:
            found.append(Difference(text, pairs))
            explained = {key for key, _ in pairs}
            left = dict.fromkeys(k for k in left if k not in explained)
            people = [p for index, p in enumerate(people) if index not in taken]
    found += _affixes([_spelled(*p, by_family) for p in people], list(left))
    return sorted(found, key=lambda d: -len(d.pairs))


def _spelled(fid: str, iid: str, by_family: bool) -> str:
    return f"{fid}\t{iid}" if by_family else iid


def _without_zeros(key: str) -> str:
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", key)


def _without_point_zero(key: str) -> str:
    return re.sub(r"\.0+(?=\t|$)", "", key)


def _written_out(key: str) -> str:
    """Write a number such as 1e+05 out; other texts stay."""
    if "e" not in key.lower() or not is_number(key) or abs(float(key)) > 1e15:
        return key
    return str(int(float(key))) if float(key).is_integer() else key


def _letters_and_digits(key: str) -> str:
    return re.sub(r"[^\w\t]|_", "", key)


def _reasons(by_family: bool) -> Iterator[tuple[str, Callable[[str, str], str | None], Callable[[str], str]]]:
    """Yield reasons, each with the functions that turn a person and an ID of the table into the same text."""

    def both(change: Callable[[str], str]) -> Callable[[str, str], str]:
        return lambda f, i: change(_spelled(f, i, by_family))

    if by_family:
        yield (
            "the families differ: the IIDs alone do agree; leave family_id out",
            lambda f, i: i,
            lambda k: k.partition("\t")[2],
        )
    else:
        for mark in ("_", ":", "-"):
            yield (
                f"the table's IDs are FID{mark}IID; keep the part after the '{mark}'",
                lambda f, i, mark=mark: f"{f}{mark}{i}",
                str,
            )
        yield (
            "the genotypes' IDs are FID_IID, doubled; plink2 --update-ids repairs them",
            lambda f, i: i.rpartition("_")[2] if "_" in i else None,
            str,
        )  # fmt: skip
    yield "they differ in upper and lower case only", both(str.lower), str.lower
    yield "they differ in leading zeros; some program has read IDs as numbers", both(_without_zeros), _without_zeros
    yield "some IDs end in '.0'; some program has read IDs as numbers", both(_without_point_zero), _without_point_zero
    yield "some IDs are written as 1e+05; some program has read IDs as numbers", both(_written_out), _written_out
    if not by_family:
        yield "the table's IDs are the genotypes' family IDs", lambda f, i: f, str
    yield "they differ in punctuation or blanks only", both(_letters_and_digits), _letters_and_digits


def _affixes(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Difference]:
    """Yield the prefix or suffix, if there is one, that IDs of one side have and those of the other lack."""
    sides = {"table": (theirs, set(ours)), "genotypes": (ours, set(theirs))}
    for name, (long, short) in sides.items():
        step = max(len(long) // _LOOKED_AT, 1)
        looked_at = long[::step]
        counts: Counter[tuple[str, str]] = Counter()
        for key in looked_at:
            for cut in range(1, min(len(key), _LONGEST + 1)):
                if key[cut:] in short:
                    counts["prefix", key[:cut]] += 1
                if key[:-cut] in short:
                    counts["suffix", key[-cut:]] += 1
        if not counts:
            continue
        (kind, affix), count = max(counts.items(), key=lambda item: (item[1], len(item[0][1]), item[0]))
        needed = _SHARE_OF_NUMBERS if affix.isdigit() else _SHARE
        if count < 3 or count < needed * min(len(looked_at), len(short)):
            continue
        cut_off = str.removeprefix if kind == "prefix" else str.removesuffix
        pairs = [(k, cut_off(k, affix)) for k in long if cut_off(k, affix) != k and cut_off(k, affix) in short]
        text = f"IDs of the {name} have the {kind} '{affix}', which those of the other side lack"
        yield Difference(text, pairs if name == "table" else [(b, a) for a, b in pairs])
        return
