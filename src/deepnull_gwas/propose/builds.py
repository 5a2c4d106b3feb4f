"""Which build of the genome positions are of: what well-known variants and the ends of the chromosomes tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from deepnull_gwas.genotypes.chromosomes import BUILDS, ORDER, normalise

#: Variants that most arrays and panels have: chromosome, and position in GRCh37 and in GRCh38 (dbSNP). None of them is
#: at the same position in both.
KNOWN: dict[str, tuple[str, int, int]] = {
    "rs1801133": ("1", 11856378, 11796321),
    "rs2476601": ("1", 114377568, 113834946),
    "rs2814778": ("1", 159174683, 159204893),
    "rs6025": ("1", 169519049, 169549811),
    "rs3827760": ("2", 109513601, 108897145),
    "rs4988235": ("2", 136608646, 135851076),
    "rs1801282": ("3", 12393125, 12351626),
    "rs1229984": ("4", 100239319, 99318162),
    "rs16891982": ("5", 33951693, 33951588),
    "rs1799945": ("6", 26091179, 26090951),
    "rs1800562": ("6", 26093141, 26092913),
    "rs1800795": ("7", 22766645, 22727026),
    "rs13266634": ("8", 118184783, 117172544),
    "rs1333049": ("9", 22125503, 22125504),
    "rs1799853": ("10", 96702047, 94942290),
    "rs1057910": ("10", 96741053, 94981296),
    "rs7903146": ("10", 114758349, 112998590),
    "rs5219": ("11", 17409572, 17388025),
    "rs6265": ("11", 27679916, 27658369),
    "rs1800497": ("11", 113270828, 113400106),
    "rs4149056": ("12", 21331549, 21178615),
    "rs3184504": ("12", 111884608, 111446804),
    "rs671": ("12", 112241766, 111803962),
    "rs12913832": ("15", 28365618, 28120472),
    "rs1426654": ("15", 48426484, 48134287),
    "rs762551": ("15", 75041917, 74749576),
    "rs9923231": ("16", 31107689, 31096368),
    "rs1421085": ("16", 53800954, 53767042),
    "rs9939609": ("16", 53820527, 53786615),
    "rs1805007": ("16", 89986117, 89919709),
    "rs17782313": ("18", 57851097, 60183864),
    "rs58542926": ("19", 19379549, 19268740),
    "rs429358": ("19", 45411941, 44908684),
    "rs7412": ("19", 45412079, 44908822),
    "rs4680": ("22", 19951271, 19963748),
    "rs738409": ("22", 44324727, 43928847),
    "rs6151429": ("22", 51063477, 50625049),
}
#: Bases of the chromosomes 1-22, X and Y (Genome Reference Consortium).
LENGTHS: dict[str, tuple[int, ...]] = {
    "GRCh37": (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431, 135534747,
        135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983, 63025520,
        48129895, 51304566, 155270560, 59373566,
    ),
    "GRCh38": (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
        135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
        46709983, 50818468, 156040895, 57227415,
    ),
}  # fmt: skip


@dataclass
class Evidence:
    """What was seen that tells the build.

    Attributes
    ----------
    known
        Well-known variants by ID: those at the position of each build, by its name, and ``neither``.
    beyond
        For each build a chromosome with a variant beyond its end, and that variant's position.
    lengths
        Contigs of the head of a file whose length is that of one build alone, by build.
    """

    known: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*BUILDS, "neither"], 0))
    beyond: dict[str, tuple[str, int]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUILDS, 0))

    def add_known(self, variants: Iterable[tuple[str, int, str]]) -> None:
        """Take in variants: chromosome (normalised), position and ID."""
        for chromosome, position, name in variants:
            if (place := KNOWN.get(name)) is None:
                continue
            fits = [b for b, at in zip(BUILDS, place[1:]) if chromosome == place[0] and position == at]
            self.known[fits[0] if fits else "neither"] += 1

    def add_end(self, chromosome: str, position: int) -> None:
        """Take in the last position of a chromosome."""
        if not (code := ORDER.get(chromosome)) or code > 24:
            return
        for build in BUILDS:
            if position > LENGTHS[build][code - 1]:
                self.beyond.setdefault(build, (chromosome, position))

    def add_length(self, contig: str, length: int) -> None:
        """Take in a length that the head of a file gives of a contig."""
        code = ORDER.get(normalise(contig) or "", 99)
        for build in BUILDS:
            self.lengths[build] += code <= 24 and LENGTHS[build][code - 1] == length

    def suggestion(self) -> str | None:
        """Return the build that everything seen speaks for, or None where nothing does, or not all of it."""
        votes = {b: self.known[b] + self.lengths[b] + len({*self.beyond} - {b}) for b in BUILDS}
        for build, other in zip(BUILDS, reversed(BUILDS)):
            if self.fits_none():
                return None
            if votes[build] and not votes[other] and self.known["neither"] <= self.known[build] // 4:
                return build
        return None

    def fits_none(self) -> bool:
        """Return whether positions are of neither build: beyond an end in both, or well-known variants elsewhere."""
        elsewhere = self.known["neither"] > 2 and not any(self.known[b] for b in BUILDS)
        return elsewhere or all(b in self.beyond for b in BUILDS)

    def words(self) -> list[str]:
        """Return what was seen, one sentence each."""
        said = []
        looked = sum(self.known.values())
        if looked:
            at = ", ".join(f"{self.known[b]} at their position in {b}" for b in BUILDS)
            said.append(f"of {looked} well-known variants by ID: {at}, {self.known['neither']} at neither")
        for build, (chromosome, position) in self.beyond.items():
            said.append(f"position {position:,} of chromosome {chromosome} lies beyond its end in {build}")
        for build in BUILDS:
            if self.lengths[build]:
                said.append(f"the head of the file gives {self.lengths[build]} chromosomes the length that {build} has")
        return said or ["neither IDs nor positions nor heads of files tell"]
