"""Runs one source under a released RestrictedPython with all its guards; prints what it stole."""

# pyright: reportPrivateImportUsage=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Why: RestrictedPython has no types, and this runs with releases of it that are not installed here.

import string
import sys
import warnings

warnings.simplefilter("ignore")

from RestrictedPython import (  # noqa: E402 - the warnings come from importing it
    compile_restricted_exec,
    safe_globals,
    utility_builtins,
)
from RestrictedPython.Eval import (  # noqa: E402
    default_guarded_getitem,
    default_guarded_getiter,
)
from RestrictedPython.Guards import (  # noqa: E402
    full_write_guard,
    guarded_iter_unpack_sequence,
    guarded_unpack_sequence,
    safer_getattr,
)


def main() -> None:
    compiled = compile_restricted_exec(sys.stdin.read())
    if compiled.errors or compiled.code is None:
        print("rejected")  # noqa: T201
        return
    names = {
        **safe_globals,
        **utility_builtins,
        "__name__": "attempt",
        "__metaclass__": type,
        "string_module": string,  # handed out as it is, as applications do with modules
        "_getattr_": safer_getattr,
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_write_": full_write_guard,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
    }
    names["__builtins__"] = {**safe_globals["__builtins__"], "str": str}
    stolen: list[object] = []
    names["steal"] = stolen.append
    try:
        exec(compiled.code, names)  # noqa: S102 - the point of this program
    except Exception as error:  # noqa: BLE001 - whatever an attack ends with
        print(f"raised {type(error).__name__}")  # noqa: T201
        return
    reached = any("__build_class__" in str(one) or one == "unguarded" for one in stolen)
    print("stole" if reached else "ran")  # noqa: T201


main()
