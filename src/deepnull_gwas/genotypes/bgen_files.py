"""BGEN files with their .sample and .bgi: which there are, and what headers tell. Without numpy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepnull_gwas.genotypes.bgen_header import bits_of_first, read_bgen_header
from deepnull_gwas.genotypes.files import Extent, Format

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.bgen import BgenGenotypes

#: Genotypes that are decoded in a second on one core, by compression and whether there are more than 8 bits.
PER_SECOND = {
    ("zlib", False): 222e6, ("zstd", False): 209e6, ("none", False): 600e6,
    ("zlib", True): 161e6, ("zstd", True): 132e6, ("none", True): 400e6,
}  # fmt: skip


class Bgen(Format):
    """BGEN 1.2 and 1.3; the name of a fileset is the path of the .bgen."""

    name = "bgen"
    title = "BGEN file"
    extensions = (".bgen", ".sample", ".bgen.bgi")
    effect_allele = "the allele that is not the reference, as `bgen_reference` says"

    def fileset(self, path: str) -> str:
        """Return the path of the .bgen."""
        return path

    def files(self, name: str, base: str = ".") -> tuple[str, ...]:
        """Return the .bgen, and the .sample and .bgi beside it where they are there."""
        beside = (sample_of(name), f"{name}.bgi")
        return name, *(file for file in beside if Path(base, file).is_file())

    def people_file(self, name: str, base: str = ".", settings: Mapping[str, Any] | None = None) -> str:
        """Return the .sample where there is one, else the .bgen, which then has to list the people."""
        sample = sample_of(name, settings)
        return sample if sample_is_named(name, settings) or Path(base, sample).is_file() else name

    def engine_options(self, prefix: str, settings: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the options of PLINK 2, and of the second steps of regenie and SAIGE, with the order of alleles."""
        about = settings or {}
        first, sampled = about.get("bgen_reference") == "first", self.has_samples(about)
        sample = f" --sample {self.sample_in_shell(prefix, about)}" if sampled else ""
        saige = f"--bgenFile={prefix}.bgen --bgenFileIndex={prefix}.bgen.bgi"
        saige += " --sampleFile=saige.samples" if sampled else ""
        return {
            "plink2": f"--bgen {prefix}.bgen ref-{'first' if first else 'last'}{sample}",
            "regenie": f"--bgen {prefix}.bgen{sample}{' --ref-first' if first else ''}",
            "saige": f"{saige} --AlleleOrder={'ref' if first else 'alt'}-first",
        }

    @staticmethod
    def has_samples(settings: Mapping[str, Any]) -> bool:
        """Return whether each .bgen of genotypes.json has a .sample."""
        names = settings.get("filesets", [])
        return all(sample_is_named(name, settings) or Path(sample_of(name)).is_file() for name in names)

    @staticmethod
    def sample_in_shell(prefix: str, settings: Mapping[str, Any]) -> str:
        """Return the .sample of a fileset as a word of a shell, from its prefix as such a word."""
        named = list(settings.get("bgen_samples", {}).values())
        # those of one cohort list the same people in the same order
        return shlex.quote(f"./{named[0]}" if named[0].startswith("-") else named[0]) if named else f"{prefix}.sample"

    def extent(self, names: tuple[str, ...], base: str = ".") -> Extent:
        """Read the heads of the files."""
        headers = [read_bgen_header(Path(base, name)) for name in names]
        return Extent(headers[0].n_samples, tuple(h.n_variants for h in headers))

    def decoding_rate(self, names: tuple[str, ...], base: str = ".") -> float:
        """Return the rate for the compression of the first file, and the bits of its first variant."""
        header = read_bgen_header(Path(base, names[0]))
        return PER_SECOND[header.compression, bits_of_first(header) > 8]

    def rare_share(self, names: tuple[str, ...], people: int, base: str = ".") -> float | None:
        """Return None: variants are compressed, and say nothing at a glance."""
        return None

    def reader(self) -> type[BgenGenotypes]:
        """Return the reader."""
        from deepnull_gwas.genotypes.bgen import BgenGenotypes

        return BgenGenotypes


def sample_is_named(name: str, settings: Mapping[str, Any] | None = None) -> bool:
    """Return whether the settings (genotypes.json) say which .sample belongs to a .bgen."""
    return name in (settings or {}).get("bgen_samples", {})


def sample_of(name: str, settings: Mapping[str, Any] | None = None) -> str:
    """Return the path of the .sample that belongs to a .bgen, by the settings or else by its name."""
    if sample_is_named(name, settings):
        return str(settings["bgen_samples"][name])
    return f"{name.removesuffix('.bgen')}.sample"
