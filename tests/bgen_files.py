"""BGEN files for the tests, written by the letter of the specification, one bit after the other, and the dosages that
they hold."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Variant:
    """One variant: numerators of probabilities (first allele), one tuple per person; None where missing."""

    people: list[tuple[int, ...] | None]
    bits: int = 8
    phased: bool = False
    ploidy: list[int] | None = None
    chromosome: str = "1"
    position: int = 1
    rsid: str = "rs1"
    identifier: str = ""
    alleles: tuple[str, ...] = ("A", "G")

    @property
    def ploidies(self) -> list[int]:
        return self.ploidy or [2] * len(self.people)

    def block(self) -> bytes:
        """Return the block of probabilities, not compressed."""
        ploidies = self.ploidies
        head = struct.pack("<IHBB", len(self.people), len(self.alleles), min(ploidies), max(ploidies))
        flags = bytes(p | (0x80 if person is None else 0) for p, person in zip(ploidies, self.people))
        stream, length = 0, 0
        for p, person in zip(ploidies, self.people):
            for x in person if person is not None else (0,) * p:
                stream |= x << length
                length += self.bits
        return head + flags + bytes([self.phased, self.bits]) + stream.to_bytes((length + 7) // 8, "little")

    def first_allele_dosages(self) -> np.ndarray:
        """Return the expected numbers of first alleles, on the 0-2 scale, NaN where missing."""
        top, out = 2**self.bits - 1, []
        for p, person in zip(self.ploidies, self.people):
            if person is None:
                out.append(np.nan)
            elif p == 1:
                out.append(2 * person[0] / top)
            else:
                out.append((person[0] + person[1] if self.phased else 2 * person[0] + person[1]) / top)
        return np.array(out)

    def variances(self) -> np.ndarray:
        """Return the variances of the genotypes, by their definition."""
        top, out = 2**self.bits - 1, []
        for p, person in zip(self.ploidies, self.people):
            if person is None:
                out.append(np.nan)
                continue
            x = [v / top for v in person]
            if p == 1:
                values = {2: x[0], 0: 1 - x[0]}
            elif self.phased:
                values = {2: x[0] * x[1], 1: x[0] * (1 - x[1]) + x[1] * (1 - x[0]), 0: (1 - x[0]) * (1 - x[1])}
            else:
                values = {2: x[0], 1: x[1], 0: 1 - x[0] - x[1]}
            mean = sum(v * q for v, q in values.items())
            out.append(sum((v - mean) ** 2 * q for v, q in values.items()))
        return np.array(out)


@dataclass
class BgenFile:
    """A whole file, in pieces that a test can damage before it is written."""

    variants: list[Variant]
    compression: str = "zlib"
    identifiers: list[str] | None = None
    layout: int = 2
    free: bytes = b""
    counts: tuple[int, int] | None = None
    blocks: dict[int, bytes] = field(default_factory=dict)

    def record(self, number: int) -> bytes:
        v = self.variants[number]
        texts = b"".join(struct.pack("<H", len(t.encode())) + t.encode() for t in (v.identifier, v.rsid, v.chromosome))
        alleles = b"".join(struct.pack("<I", len(a.encode())) + a.encode() for a in v.alleles)
        head = texts + struct.pack("<IH", v.position, len(v.alleles)) + alleles
        block = self.blocks.get(number, None) or v.block()
        if self.compression == "none":
            return head + struct.pack("<I", len(block)) + block
        return head + compressed(block, self.compression)

    def data(self) -> bytes:
        n = len(self.variants[0].people)
        m, n = self.counts or (len(self.variants), n)
        flags = {"none": 0, "zlib": 1, "zstd": 2}[self.compression] | self.layout << 2
        samples = b""
        if self.identifiers is not None:
            names = b"".join(struct.pack("<H", len(i.encode())) + i.encode() for i in self.identifiers)
            samples = struct.pack("<II", 8 + len(names), len(self.identifiers)) + names
            flags |= 1 << 31
        head = struct.pack("<III4s", 20 + len(self.free), m, n, b"bgen") + self.free + struct.pack("<I", flags)
        body = b"".join(self.record(i) for i in range(len(self.variants)))
        return struct.pack("<I", len(head) + len(samples)) + head + samples + body

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data())
        return path


def compressed(block: bytes, compression: str, inflated: int | None = None) -> bytes:
    """Return a block compressed, behind its lengths."""
    if compression == "zlib":
        packed = zlib.compress(block)
    else:
        import zstandard

        packed = zstandard.ZstdCompressor().compress(block)
    return struct.pack("<II", 4 + len(packed), len(block) if inflated is None else inflated) + packed


def random_variant(
    rng: np.random.Generator,
    n: int,
    bits: int = 8,
    phased: bool = False,
    missing: float = 0.1,
    haploid: float = 0.0,
    **names,
) -> Variant:
    """Return a variant of random probabilities, sharp ones and vague ones, with people missing and haploid."""
    top = 2**bits - 1
    ploidy = np.where(rng.random(n) < haploid, 1, 2).tolist()
    people: list[tuple[int, ...] | None] = []
    for p in ploidy:
        if rng.random() < missing:
            people.append(None)
        elif phased or p == 1:
            people.append(tuple(int(rng.choice([0, top, rng.integers(0, top + 1)])) for _ in range(p)))
        else:
            a = int(rng.choice([0, 0, top, rng.integers(0, top + 1)]))
            people.append((a, int(rng.choice([0, top - a, rng.integers(0, top - a + 1)]))))
    return Variant(people, bits, phased, ploidy, **names)
