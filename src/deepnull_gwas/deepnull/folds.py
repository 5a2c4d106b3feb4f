"""Folds: who is predicted by which model."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import numpy as np

from deepnull_gwas.deepnull.recipe import FEW_PEOPLE, FOLDS_OF_FEW, FOLDS_OF_MANY
from deepnull_gwas.traits import trait_of


def derive_seed(seed: int, *names: object) -> int:
    """Return a seed below 2^63 for one use, the same wherever and whenever it is asked for.

    Sha256 of the config's seed and the names.

    Examples
    --------
    >>> derive_seed(1, "height", 0) == derive_seed(1, "height", 0) != derive_seed(1, "height", 1)
    True
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def default_folds(y: np.ndarray, trait: str, original: bool = False) -> int:
    """Return the number of folds where none is set: 10 below 2,000 people and 5 above, as in the original.

    Also 5 where each of ten folds would have fewer than 10 people, or (binary traits) fewer than 5 cases or controls.

    Parameters
    ----------
    y
        Phenotypes (binary: 0/1).
    trait
        ``quantitative`` or ``binary``.
    original
        Whether the recipe is the original's.
    """
    few = 10 * FOLDS_OF_FEW <= len(y) < FEW_PEOPLE
    enough = not trait_of(trait).has_cases or min(int((y == 1).sum()), int((y == 0).sum())) >= 5 * FOLDS_OF_FEW
    return FOLDS_OF_FEW if few and enough and not original else FOLDS_OF_MANY


def original_folds(ids: Sequence[str], k: int, seed: int) -> np.ndarray:
    """Deal people into folds as the original DeepNull does.

    IDs sorted, shuffled by Python's generator with this seed, dealt out in turn.

    Relatives are not kept together, nor cases spread. With the same people, folds and seed these are the folds of
    ``deepnull --seed``.

    Parameters
    ----------
    ids
        IID of each person; the original reads them as numbers, and sorts them so, where all of them are whole numbers.
    k, seed
        Number of folds, and seed.

    Returns
    -------
    int32, the fold of each person.
    """
    keys: list[int] | list[str] = list(map(str, ids))
    if all(key.lstrip("-").isdecimal() for key in keys):
        keys = [int(key) for key in keys]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    random.Random(seed).shuffle(order)
    fold = np.empty(len(order), dtype=np.int32)
    fold[order] = np.arange(len(order)) % k
    return fold


def assign_folds(
    people: Sequence[str], k: int, seed: int, groups: Sequence[str] | None = None, stratum: np.ndarray | None = None
) -> np.ndarray:
    """Split people into folds of nearly equal size.

    Parameters
    ----------
    people
        A unique name each; the fold of a person depends on names, never on the order of rows.
    k
        Number of folds.
    seed
        Seed of the shuffle.
    groups
        Name of the group of each person (a family, say): a group stays in one fold. None: everybody alone.
    stratum
        A small whole number each (case or control): every stratum is dealt out evenly by itself.

    Returns
    -------
    int32, the fold of each person.

    Examples
    --------
    The two people of family f1 stay together, and the fold of nobody depends on the order of rows.

    >>> assign_folds(["a", "b", "c", "d"], k=2, seed=1, groups=["f1", "f1", "f2", "f3"]).tolist()
    [0, 0, 1, 1]
    >>> assign_folds(["d", "c", "b", "a"], k=2, seed=1, groups=["f3", "f2", "f1", "f1"]).tolist()
    [1, 1, 0, 0]
    """
    groups = list(people) if groups is None else list(groups)
    stratum = np.zeros(len(groups), dtype=int) if stratum is None else np.asarray(stratum, dtype=int)
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(str(group), []).append(i)

    def key(group: str) -> bytes:
        return hashlib.sha256(f"{seed}\x1f{group}".encode()).digest()

    # large groups first, then in the order of a seeded hash; a group counts for the rarest stratum that it holds
    sizes = np.bincount(stratum, minlength=stratum.max(initial=0) + 1)
    rank = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
    order = sorted(members, key=lambda g: (-len(members[g]), key(g)))
    fold = np.empty(len(groups), dtype=np.int32)
    load = np.zeros((k, len(sizes)), dtype=np.int64)
    for group in order:
        rows = members[group]
        rarest = min((int(stratum[i]) for i in rows), key=lambda s: int(rank[s]))
        chosen = min(range(k), key=lambda f: (load[f, rarest], load[f].sum(), f))
        for i in rows:
            fold[i] = chosen
            load[chosen, stratum[i]] += 1
    return fold


def roles(fold: np.ndarray, evaluated: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return who trains, who validates and who is predicted by the model of one fold.

    As in the original: model i validates on fold i, predicts fold i + 1 (mod k) and trains on the others; here a model
    is named by the fold that it predicts.

    Returns
    -------
    Three bool arrays: train, validation, evaluation.
    """
    validation = fold == (evaluated - 1) % k
    evaluation = fold == evaluated
    return ~(validation | evaluation), validation, evaluation
