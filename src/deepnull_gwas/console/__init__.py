"""What a run says on the screen while it runs, and at its end.

Light imports only: the workflow reads this each time that it is parsed.
"""

from deepnull_gwas.console.end import last_words
from deepnull_gwas.console.failures import Failure
from deepnull_gwas.console.handler import RunConsole, show_on

__all__ = ["Failure", "RunConsole", "last_words", "show_on"]
