"""What the headers of a PLINK fileset say. Without numpy: the workflow reads this each time that it is parsed."""

from __future__ import annotations

from pathlib import Path

from deepnull_gwas.errors import InputError
from deepnull_gwas.text import shorten

MAGIC = b"\x6c\x1b"
HEADER_BYTES = 3


#: How a row of column names begins that nobody marked as one; PLINK would take it for a person or a variant.
_UNMARKED = (("fid", "iid"), ("chr", "snp"), ("chr", "id"), ("chrom", "snp"), ("chrom", "id"), ("chromosome", "snp"))


def count_header_rows(path: str | Path) -> int:
    """Count the rows at the head of a .fam or .bim that are no person or variant.

    Those are comments and headers, which begin with ``#`` (PLINK skips them), and one row of column names that lacks the ``#`` (``FID IID ...``).
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

    PLINK 1.9 skips such rows whatever they say; PLINK 2 reads the columns in the order that ``#FID ...``, ``#IID ...`` or ``#CHROM ...`` gives.

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
                f"{path}: row {number} is a header, '{shorten(row.strip())}', with {wrong[0].upper()} in another place than PLINK 1 has it "
                f"({_ORDER[kind]}); write the fileset anew: plink2 --bfile … --make-bed --out …"
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
