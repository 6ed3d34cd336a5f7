"""Gives the schema of the report: quantities that are never printed without their origin, and the rows of its tables.

`schema()` returns the JSON schema with a description of every field of `report.json`.
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
