"""The report's schema: figures that can't be printed without saying how they came about, and the rows they stand in.

`schema()` is the documentation of `report.json`: each of its fields is described there.
"""

from edgekd.results.distillation import (
    FEW_MISTAKES,
    AlongTheWay,
    ClassTransfer,
    Distillation,
    LayerSimilarity,
    Measure,
    Spread,
)
from edgekd.results.quantity import Origin, Quantity, Record
from edgekd.results.report import Report, schema
from edgekd.results.rows import (
    Boundary,
    EmulatedRow,
    FileRow,
    FormName,
    FunctionRow,
    LatencyRow,
    LayerDifference,
    LimitRow,
    Measurements,
    OperatorRow,
    StageRow,
)  # fmt: skip
from edgekd.results.task import TaskWords

__all__ = [
    "FEW_MISTAKES", "AlongTheWay", "Boundary", "ClassTransfer", "Distillation", "EmulatedRow", "FileRow",
    "FormName", "FunctionRow", "LatencyRow", "LayerDifference", "LayerSimilarity", "LimitRow", "Measure",
    "Measurements", "OperatorRow", "Origin", "Quantity", "Record", "Report", "Spread", "StageRow", "TaskWords",
    "schema",
]  # fmt: skip
