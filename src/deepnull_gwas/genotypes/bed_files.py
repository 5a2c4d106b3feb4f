"""PLINK 1 filesets (.bed, .bim, .fam): their files, and what headers and sizes tell.

Without numpy: the workflow reads this each time that it is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.files import USUAL_LINE, Extent, Format
from deepnull_gwas.text import shorten

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.bed import BedGenotypes

MAGIC = b"\x6c\x1b"
HEADER_BYTES = 3
#: Variants that are looked at for how many are rare.
LOOKED_AT = 32


class Bed(Format):
    """The PLINK 1 binary fileset; its name is the path without extension."""

    name = "bed"
    title = "PLINK fileset"
    extensions = (".bed", ".bim", ".fam")
    effect_allele = "A1 of the .bim"

    def fileset(self, path: str) -> str:
        """Return the prefix: the path without ``.bed``."""
        return path.removesuffix(".bed")

    def files(self, name: str, base: str = ".") -> tuple[str, ...]:
        """Return .bed, .bim and .fam of a prefix."""
        return tuple(f"{name}{extension}" for extension in self.extensions)

    def people_file(self, name: str, base: str = ".", settings: Mapping[str, Any] | None = None) -> str:
        """Return the .fam."""
        return f"{name}.fam"

    def engine_options(self, prefix: str, settings: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the options of all engines; SAIGE must be told that A1 is the allele that counts."""
        return {
            "plink2": f"--bfile {prefix}",
            "regenie": f"--bed {prefix}",
            "bolt": f"--bfile={prefix}",
            "saige_null": f"--plinkFile={prefix}",
            "saige": f"--bedFile={prefix}.bed --bimFile={prefix}.bim --famFile={prefix}.fam --AlleleOrder=alt-first",
            "gcta": f"--bfile {prefix}",
        }

    def extent(self, names: tuple[str, ...], base: str = ".") -> Extent:
        """Read lines of the .fam, sizes of the .bed (or lines of the .bim)."""

        def place(name: str) -> Path:
            path = Path(base, name)
            if not path.is_file():
                raise InputError(f"{name}: no such file; a PLINK fileset needs .bed, .bim and .fam")
            return path

        people = count_lines(place(f"{names[0]}.fam"))
        counts, text = [], 0
        for prefix in names:
            bed = Path(base, f"{prefix}.bed")
            width = (people + 3) // 4
            # the size of the .bed says it at once; a .bed that is not there yet, or is not one, leaves the lines of the
            # .bim
            if width and bed.is_file() and (bed.stat().st_size - HEADER_BYTES) % width == 0:
                counts.append((bed.stat().st_size - HEADER_BYTES) // width)
            else:
                counts.append(count_lines(place(f"{prefix}.bim")))
            bim = Path(base, f"{prefix}.bim")
            text += max(bim.stat().st_size - USUAL_LINE * counts[-1], 0) if bim.is_file() else 0
        return Extent(people, tuple(counts), text)

    def rare_share(self, names: tuple[str, ...], people: int, base: str = ".") -> float | None:
        """Look at a few rows of the .bed: four people with the usual genotype make a byte of equal bits."""
        width, rare, seen = (people + 3) // 4, 0, 0
        for prefix in names:
            bed = Path(base, f"{prefix}.bed")
            variants = (bed.stat().st_size - HEADER_BYTES) // width if width and bed.is_file() else 0
            step = max(1, len(names) * variants // LOOKED_AT)
            if not variants:
                continue
            with open(bed, "rb") as file:
                for row in range(0, variants, step):
                    file.seek(HEADER_BYTES + row * width)
                    packed = file.read(width)
                    # four people with the usual genotype of a variant that one in sixteen carries: 77 % of the bytes
                    rare += max(packed.count(b"\xff"), packed.count(b"\x00")) >= 0.77 * width
                    seen += 1
        return rare / seen if seen else None

    def reader(self) -> type[BedGenotypes]:
        """Return the reader."""
        from deepnull_gwas.genotypes.bed import BedGenotypes

        return BedGenotypes


#: How a row of column names begins that nobody marked as one; PLINK would take it for a person or a variant.
_UNMARKED = (("fid", "iid"), ("chr", "snp"), ("chr", "id"), ("chrom", "snp"), ("chrom", "id"), ("chromosome", "snp"))


def count_header_rows(path: str | Path) -> int:
    """Count the rows at the head of a .fam or .bim that are no person or variant.

    Those are comments and headers, which begin with ``#`` (PLINK skips them), and one row of column names that lacks
    the ``#`` (``FID IID ...``).
    """
    count = 0
    with open(path, "rb") as file:
        for line in file:
            text = line[:1000].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t")
            names = tuple(text.decode("latin-1").lower().split()[:2])
            if not text.startswith(b"#") and (names not in _UNMARKED):
                break
            count += 1
    return count


#: Where a named column has to stand for the rows to be read as PLINK 1 has them.
_PLACES = {
    "fam": {"fid": 0, "iid": 1, "pat": 2, "father": 2, "mat": 3, "mother": 3, "sex": 4, "gender": 4},
    "bim": {
        "chr": 0, "chrom": 0, "chromosome": 0, "snp": 1, "id": 1, "rsid": 1, "cm": 2, "pos": 3, "bp": 3, "position": 3,
        "a1": 4, "alt": 4, "allele1": 4, "a2": 5, "ref": 5, "allele2": 5,
    },
}  # fmt: skip
_ORDER = {
    "fam": "FID, IID, father, mother, sex, phenotype",
    "bim": "chromosome, identifier, centimorgan, position, A1, A2",
}


def check_header(path: str | Path, kind: str) -> int:
    """Count the header rows of a .fam or .bim, and check that the columns that they name stand in PLINK 1's order.

    PLINK 1.9 skips such rows whatever they say; PLINK 2 reads the columns in the order that ``#FID ...``, ``#IID ...``
    or ``#CHROM ...`` gives.

    Raises
    ------
    InputError
        When a header names columns in another order.
    """
    count = count_header_rows(path)
    with open(path, "rb") as file:
        rows = [file.readline(100_000).decode("utf-8", "replace") for _ in range(count)]
    for number, row in enumerate(rows, 1):
        names = row.lstrip("\ufeff \t#").lower().split()
        if (
            row.lstrip("\ufeff \t").startswith("##")
            or not names
            or names[0] not in ("fid", "iid", "chr", "chrom", "chromosome")
        ):
            continue
        wrong = [name for place, name in enumerate(names) if _PLACES[kind].get(name, place) != place]
        if wrong:
            raise InputError(
                f"{path}: row {number} is a header, '{shorten(row.strip())}', with {wrong[0].upper()} in another place "
                "than PLINK 1 has it "
                f"({_ORDER[kind]}); write the fileset again: plink2 --bfile … --make-bed --out …"
            )
    return count


def count_lines(path: str | Path) -> int:
    """Count the people or variants of a .fam or .bim: its lines but for header rows and for empty lines at the end.

    A last line without its newline counts.
    """
    return _count_all_lines(path) - count_header_rows(path)


def _count_all_lines(path: str | Path) -> int:
    count, last = 0, b"\n"
    blank_tail = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            count += block.count(b"\n")
            last = block[-1:]
            stripped = block.rstrip(b"\r\n")
            tail = block[len(stripped) :].count(b"\n")
            blank_tail = tail if stripped else blank_tail + tail
    if last != b"\n":
        return count + 1
    return count - max(blank_tail - 1, 0)
