"""The texts of a header and a C file, from what the writers collected and where the arena's plan put it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgekd.formats.c.arena import Plan, Region
from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.source import CSource, View
from edgekd.formats.metadata import DType, Preprocessing
from edgekd.graph.structure import Tensor

ABOUT = "written by edgekd; the integer network of its TFLite file, in C99"
ALIGNMENT = 4
"""Bytes that the arena must be aligned to: those of a token, or of a register."""

CODES: dict[DType, str] = {"int8": "int8_t", "uint8": "uint8_t"}
FLOAT_RULES = """\
/* Every operation rounds by itself: none may be fused with the next. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif"""


def header(
    source: CSource,
    plan: Plan,
    name: str,
    labels: Sequence[str],
    preprocessing: Preprocessing | None,
    input_dtype: DType,
) -> str:
    """The header: what the caller must know, as macros, and three functions."""
    upper = name.upper()
    macros = {
        "ARENA_BYTES": f"{plan.arena_bytes}",
        "ARENA_ALIGNMENT": f"{ALIGNMENT}",
        "CONSTANT_BYTES": f"{source.constants.bytes}",
    }
    macros |= _ends(source, "INPUT", source.graph.inputs, source.inputs, input_dtype)
    macros |= _ends(source, "OUTPUT", source.graph.outputs, source.outputs, "int8")
    q = source.graph.tensors[source.graph.input].quantization
    codes = preprocessing.raw_codes(q) if preprocessing is not None and q is not None else None
    if codes is not None:
        macros["INPUT_0_RAW_STEP"] = real(codes.step)
        macros["INPUT_0_RAW_SHIFT"] = f"({codes.shift + (128 if input_dtype == 'uint8' else 0)})"
    if labels:
        macros["LABELS"] = f"{{{', '.join(map(string_literal, labels))}}}"
    defines = "\n".join(f"#define {upper}_{macro} {value}" for macro, value in macros.items())
    return f"""\
/* {name}.h: {ABOUT}.
 *
 * Give {upper}_ARENA_BYTES bytes, aligned to {ALIGNMENT}, as the arena; nothing else is written. For each inference
 * write every input anew (they are overwritten), call {name}_invoke, read the outputs. Several arenas can be at work at
 * once, each on one inference. A real value is SCALE * (code - ZERO_POINT); AXES says which of torch's axes each axis
 * of SHAPE is. A code of raw data is round(raw / RAW_STEP) + RAW_SHIFT, clamped, where these are defined.
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

{defines}

#ifdef __cplusplus
extern "C" {{
#endif

/* Where an input is to be written; a null pointer where there is none of this index. */
{input_type(source, input_dtype)} *{name}_input(void *arena, int index);

/* Where an output can be read after {name}_invoke. */
const int8_t *{name}_output(const void *arena, int index);

/* Run the network. 0 if all is well; 1 if a token is in no table; 2 if the arena is not aligned, or null. */
int {name}_invoke(void *arena);

#ifdef __cplusplus
}}
#endif

#endif
"""


def body(source: CSource, plan: Plan, name: str, input_dtype: DType) -> str:
    """The C file: arithmetic, kernels, constants, and the calls of one inference."""
    calls = [*_from_uint8(source, plan)] if input_dtype == "uint8" else []
    for call in plan.calls:
        text = f"{source.functions.instance(call.kernel)}({', '.join(_argument(a, plan) for a in call.arguments)})"
        text = f"if ({text} != 0) {{\n        return 1;\n    }}" if call.checked else f"{text};"
        calls.append(f"    /* {_comment(call.layer)} */\n    {text}")
    functions = [*source.functions.texts()]
    in_float = any(re.search(r"\bfloat\b", text) for text in functions)
    parts = [
        f'/* {name}.c: {ABOUT}. */\n#include "{name}.h"\n#include <stddef.h>',
        *([FLOAT_RULES] if in_float else []),
        *functions,
        *source.constants.texts(),
        _accessors(source, plan, name, input_dtype),
        _invoke(calls, name),
    ]
    return "\n\n".join(parts) + "\n"


def _from_uint8(source: CSource, plan: Plan) -> Iterator[str]:
    """The calls that make int8 codes of uint8 ones, input by input."""
    for name, view in zip(source.graph.inputs, source.inputs, strict=True):
        if source.graph.tensors[name].kind == "real":
            function = source.functions.instance(Kernel("from_uint8", {"COUNT": view.buffer.size}))
            codes = _argument(view.region, plan)
            yield f"    {function}({_argument(replace(view.region, type='const uint8_t *'), plan)}, {codes});"


def _argument(argument: Region | str, plan: Plan) -> str:
    """As it stands in a call; the arena is addressed by its bytes."""
    if isinstance(argument, str):
        return argument
    if argument.buffer.constant:
        return f"{argument.buffer.constant} + {argument.offset}" if argument.offset else argument.buffer.constant
    place = f"bytes + {plan.offset(argument)}"
    through = "const void *" if argument.type.startswith("const") else "void *"
    return f"({argument.type})({through})({place})" if argument.type else place


def _invoke(calls: Sequence[str], name: str) -> str:
    used = "    int8_t *const bytes = arena;\n" if calls else ""
    work = "\n".join(calls) + "\n" if calls else ""
    return f"""\
int {name}_invoke(void *arena)
{{
{used}    if (arena == NULL || (uintptr_t)arena % {ALIGNMENT}u != 0u) {{
        return 2;
    }}
{work}    return 0;
}}"""


def _accessors(source: CSource, plan: Plan, name: str, input_dtype: DType) -> str:
    kind = input_type(source, input_dtype)
    inputs = [plan.offset(Region(view.buffer, view.offset)) for view in source.inputs]
    outputs = [plan.offset(Region(view.buffer, view.offset)) for view in source.outputs]
    place = "bytes + offsets[index]"
    place = place if kind in ("int8_t", "void") else f"({kind} *)(void *)({place})"
    return f"""\
{kind} *{name}_input(void *arena, int index)
{{
    static const int32_t offsets[{len(inputs)}] = {{{", ".join(map(str, inputs))}}};
    int8_t *const bytes = arena;
    if (index < 0 || index >= {len(inputs)}) {{
        return NULL;
    }}
    return {place};
}}

const int8_t *{name}_output(const void *arena, int index)
{{
    static const int32_t offsets[{len(outputs)}] = {{{", ".join(map(str, outputs))}}};
    const int8_t *const bytes = arena;
    if (index < 0 || index >= {len(outputs)}) {{
        return NULL;
    }}
    return bytes + offsets[index];
}}"""


def input_type(source: CSource, input_dtype: DType) -> str:
    """What the inputs point to: `void` where they differ."""
    kinds = {_type(source.graph.tensors[name], input_dtype) for name in source.graph.inputs}
    return kinds.pop() if len(kinds) == 1 else "void"


def _type(tensor: Tensor, codes: DType) -> str:
    return "int32_t" if tensor.kind == "index" else CODES[codes]


def _ends(source: CSource, role: str, names: Sequence[str], views: Sequence[View], codes: DType) -> dict[str, str]:
    """The macros of inputs or outputs."""
    macros = {f"{role}S": str(len(names))}
    for i, (name, view) in enumerate(zip(names, views, strict=True)):
        tensor, order = source.graph.tensors[name], view.layout.order() or ()
        macros |= {
            f"{role}_{i}_TYPE": _type(tensor, codes),
            f"{role}_{i}_ELEMENTS": str(tensor.elements),
            f"{role}_{i}_SHAPE": initialiser(view.layout.sizes),
            f"{role}_{i}_AXES": initialiser([axis for axis in order if axis is not None]),
        }
        if tensor.quantization is not None:
            shift = 128 if codes == "uint8" else 0
            macros[f"{role}_{i}_SCALE"] = real(tensor.quantization.scale)
            macros[f"{role}_{i}_ZERO_POINT"] = f"({tensor.quantization.zero_point + shift})"
    return macros


def initialiser(values: Sequence[int]) -> str:
    """An initialiser of an array; {1} for a number that has no axes."""
    return f"{{{', '.join(map(str, values)) or '1'}}}"


def real(value: float) -> str:
    """A float32 as a short decimal literal."""
    text = repr(float(str(np.float32(value))))
    return f"{text}f"


def string_literal(text: str) -> str:
    """A string literal; whatever is not plain ASCII stands as its UTF-8 bytes."""
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'


def _comment(layer: str) -> str:
    """A layer's name, which may be anything, inside a comment."""
    return layer.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")
