"""PLINK 2 filesets (.pgen, .pvar or .pvar.zst, .psam): their files, and what headers tell. Without numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepnull_gwas.genotypes.files import USUAL_LINE, Extent, Format
from deepnull_gwas.genotypes.pgen_header import read_pgen_header

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.pgen import PgenGenotypes

#: Genotypes that Pgenlib reads in a second on one core.
DOSAGES_PER_SECOND, CALLS_PER_SECOND = 740e6, 1890e6


class Pgen(Format):
    """The PLINK 2 fileset; its name is the path of the .pgen."""

    name = "pgen"
    title = "PLINK 2 fileset"
    extensions = (".pgen", ".pvar", ".psam")
    effect_allele = "ALT of the .pvar"

    def fileset(self, path: str) -> str:
        """Return the path of the .pgen."""
        return path

    def files(self, name: str, base: str = ".") -> tuple[str, ...]:
        """Return .pgen, .pvar (.pvar.zst where that is there and .pvar is not) and .psam."""
        prefix = name.removesuffix(".pgen")
        return name, pvar_of(prefix, base), f"{prefix}.psam"

    def people_file(self, name: str, base: str = ".", settings: Mapping[str, Any] | None = None) -> str:
        """Return the .psam."""
        return f"{name.removesuffix('.pgen')}.psam"

    def engine_options(self, prefix: str, settings: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the options of PLINK 2 and regenie."""
        packed = any(str(name).endswith(".zst") for name in self.files(settings["filesets"][0])) if settings else False
        return {"plink2": f"--pfile {prefix}{' vzs' if packed else ''}", "regenie": f"--pgen {prefix}"}

    def extent(self, names: tuple[str, ...], base: str = ".") -> Extent:
        """Read the heads of the .pgen; a row with several alternative alleles counts as one variant here."""
        headers = [read_pgen_header(Path(base, name)) for name in names]
        text = 0
        for name, header in zip(names, headers):
            pvar = Path(base, self.files(name, base)[1])
            if pvar.suffix == ".pvar" and pvar.is_file():
                text += max(pvar.stat().st_size - USUAL_LINE * header.n_variants, 0)
        return Extent(headers[0].n_samples, tuple(h.n_variants for h in headers), text)

    def decoding_rate(self, names: tuple[str, ...], base: str = ".") -> float:
        """Return the rate of Pgenlib, for hard calls that of unpacking and packing them."""
        dosages = any(read_pgen_header(Path(base, name)).has_dosages for name in names)
        return DOSAGES_PER_SECOND if dosages else CALLS_PER_SECOND

    def rare_share(self, names: tuple[str, ...], people: int, base: str = ".") -> float | None:
        """Return None: rows are compressed, and say nothing at a glance."""
        return None

    def reader(self) -> type[PgenGenotypes]:
        """Return the reader."""
        from deepnull_gwas.genotypes.pgen import PgenGenotypes

        return PgenGenotypes


def pvar_of(prefix: str, base: str = ".") -> str:
    """Return the table of variants of a fileset: .pvar, or .pvar.zst where that is there and .pvar is not."""
    plain, packed = f"{prefix}.pvar", f"{prefix}.pvar.zst"
    return packed if Path(base, packed).is_file() and not Path(base, plain).is_file() else plain
