"""A table of bad inputs with the command, the text of its one-line error, and its exit code."""

from bad_inputs.data import DATA
from bad_inputs.limits import LIMITS
from bad_inputs.mistyped import MISTYPED
from bad_inputs.models import MODELS
from bad_inputs.places import PLACES
from bad_inputs.row import BUILD, Bad

__all__ = ["BUILD", "MISTYPED", "TABLE", "Bad"]

TABLE = (*MISTYPED, *DATA, *MODELS, *LIMITS, *PLACES)
