"""The tally of the fuzzing: how many cases of each target were accepted and refused."""

from __future__ import annotations

import pytest
from fuzzing import TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tally below the results."""
    if not TALLY:
        return
    terminalreporter.section("fuzzing")
    for target, counts in sorted(TALLY.items()):
        terminalreporter.write_line(
            f"{target:<16}{sum(counts.values()):>8,} cases "
            f"{counts['accepted']:>8,} accepted {counts['refused']:>8,} refused"
        )
    total = sum(sum(c.values()) for c in TALLY.values())
    accepted = sum(c["accepted"] for c in TALLY.values())
    terminalreporter.write_line(f"{'all':<16}{total:>8,} cases {accepted:>8,} accepted {total - accepted:>8,} refused")
