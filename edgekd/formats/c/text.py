"""Format the texts of the header and the C file from the collected calls and the arena's plan."""

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
"""The arena's alignment in bytes: the size of a token, or of a register."""

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
    """Return the header: macros for the caller, and the declarations of three functions."""
    upper = name.upper()
    macros = {
        "ARENA_BYTES": f"{plan.arena_bytes}",
        "ARENA_ALIGNMENT": f"{ALIGNMENT}",
        "CONSTANT_BYTES": f"{source.constants.bytes}",
    }
    macros |= _tensor_macros(source, "INPUT", source.graph.inputs, source.inputs, input_dtype)
    macros |= _tensor_macros(source, "OUTPUT", source.graph.outputs, source.outputs, "int8")
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
    """Return the C file: arithmetic, kernels, constants, and the calls of one inference."""
    calls = [*_from_uint8(source, plan)] if input_dtype == "uint8" else []
    for call in plan.calls:
        text = f"{source.functions.instance(call.kernel)}({', '.join(_argument(a, plan) for a in call.arguments)})"
        text = f"if ({text} != 0) {{\n        return 1;\n    }}" if call.checked else f"{text};"
        calls.append(f"    /* {_comment(call.layer)} */\n    {text}")
    functions = [*source.functions.texts()]
    uses_float = any(re.search(r"\bfloat\b", text) for text in functions)
    parts = [
        f'/* {name}.c: {ABOUT}. */\n#include "{name}.h"\n#include <stddef.h>',
        *([FLOAT_RULES] if uses_float else []),
        *functions,
        *source.constants.texts(),
        _accessors(source, plan, name, input_dtype),
        _invoke(calls, name),
    ]
    return "\n\n".join(parts) + "\n"


def _from_uint8(source: CSource, plan: Plan) -> Iterator[str]:
    """Yield the call for each input that converts uint8 codes to int8."""
    for name, view in zip(source.graph.inputs, source.inputs, strict=True):
        if source.graph.tensors[name].kind == "real":
            function = source.functions.instance(Kernel("from_uint8", {"COUNT": view.buffer.size}))
            codes = _argument(view.region, plan)
            yield f"    {function}({_argument(replace(view.region, type='const uint8_t *'), plan)}, {codes});"


def _argument(argument: Region | str, plan: Plan) -> str:
    """Return the C text of a call's argument; a region of the arena is a pointer into its bytes."""
    if isinstance(argument, str):
        return argument
    if argument.buffer.constant:
        return f"{argument.buffer.constant} + {argument.offset}" if argument.offset else argument.buffer.constant
    address = f"bytes + {plan.offset(argument)}"
    cast = "const void *" if argument.type.startswith("const") else "void *"
    return f"({argument.type})({cast})({address})" if argument.type else address


def _invoke(calls: Sequence[str], name: str) -> str:
    declaration = "    int8_t *const bytes = arena;\n" if calls else ""
    statements = "\n".join(calls) + "\n" if calls else ""
    return f"""\
int {name}_invoke(void *arena)
{{
{declaration}    if (arena == NULL || (uintptr_t)arena % {ALIGNMENT}u != 0u) {{
        return 2;
    }}
{statements}    return 0;
}}"""


def _accessors(source: CSource, plan: Plan, name: str, input_dtype: DType) -> str:
    kind = input_type(source, input_dtype)
    inputs = [plan.offset(Region(view.buffer, view.offset)) for view in source.inputs]
    outputs = [plan.offset(Region(view.buffer, view.offset)) for view in source.outputs]
    address = "bytes + offsets[index]"
    address = address if kind in ("int8_t", "void") else f"({kind} *)(void *)({address})"
    return f"""\
{kind} *{name}_input(void *arena, int index)
{{
    static const int32_t offsets[{len(inputs)}] = {{{", ".join(map(str, inputs))}}};
    int8_t *const bytes = arena;
    if (index < 0 || index >= {len(inputs)}) {{
        return NULL;
    }}
    return {address};
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
    """Return the C type of the inputs' elements; `void` if the inputs differ."""
    kinds = {_type(source.graph.tensors[name], input_dtype) for name in source.graph.inputs}
    return kinds.pop() if len(kinds) == 1 else "void"


def _type(tensor: Tensor, codes: DType) -> str:
    return "int32_t" if tensor.kind == "index" else CODES[codes]


def _tensor_macros(
    source: CSource, role: str, names: Sequence[str], views: Sequence[View], codes: DType
) -> dict[str, str]:
    """Return the macros of the inputs or of the outputs, by name."""
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
    """Return the C initialiser of an array; {1} for a number that has no axes."""
    return f"{{{', '.join(map(str, values)) or '1'}}}"


def real(value: float) -> str:
    """Return the shortest decimal literal of a float32."""
    text = repr(float(str(np.float32(value))))
    return f"{text}f"


def string_literal(text: str) -> str:
    """Return a C string literal, with octal escapes for the UTF-8 bytes that are not plain ASCII."""
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'


def _comment(layer: str) -> str:
    """Return a layer's name, which may be any text, escaped for a C comment."""
    return layer.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")
