"""Numba types of kernels, operations in machine code and views; imported only for compiling."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, config, sigutils
from numba.core.codegen import CPUCodeLibrary as CodeLibrary
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.errors import LoweringError, NumbaError, TypingError, UnsupportedBytecodeError
from numba.core.imputils import lower_getattr_generic, lower_setattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr, make_intrinsic_template
from numba.extending import typeof_impl
from numba.np.arrayobj import populate_array

from teamnet.errors import SpecError, nearest
from teamnet.kernels.cache import C_FUNCTIONS
from teamnet.kernels.compile import Kernel, MachineCode
from teamnet.kernels.sources import functions_outside, lines_with_name
from teamnet.kernels.view import View

_I64, _F64 = ir.IntType(64), ir.DoubleType()
_PACKAGE = Path(__file__).parent.parent
_SHOWN = 300
_PASSES = 2
"""LLVM's optimisation passes over the whole module: only code that was simplified once is vectorised well."""
_EXACT = ("sqrt", "fabs", "floor", "ceil", "trunc")
"""C library functions with one correct result, which processors implement."""
_ROUNDED = r"llvm\.(exp|exp2|log|log2|log10|pow|powi|sin|cos)\."
"""LLVM intrinsics that call the C library, whose versions round differently."""
_SCALARS = {"i": (types.int64, _I64), "f": (types.float64, _F64)}


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile even where ``NUMBA_DISABLE_JIT`` is set: it still applies to the user's own functions.

    Numba reads it when a function is declared, and when it compiles its own functions that a kernel calls.
    """
    settings: Any = config
    disabled, settings.DISABLE_JIT = settings.DISABLE_JIT, 0
    try:
        yield
    finally:
        settings.DISABLE_JIT = disabled


def compiled_library(declared: Kernel, letters: str) -> tuple[str, bytes]:
    """The symbol and the object code of a kernel that returns an int64, with ``i`` or ``d`` for each argument."""
    kinds = [types.int64 if letter == "i" else types.float64 for letter in letters]
    signature = types.int64(*kinds)
    with _compiling():
        dispatcher = _dispatcher_of(declared)
        try:
            with _optimising_once():
                dispatcher.compile(signature)
        except (NumbaError, UnsupportedBytecodeError) as error:
            raise _not_compiled(declared, error) from None
        compiled = dispatcher.overloads[signature.args]
        library = compiled.library
        for _ in range(_PASSES):
            library._optimize_final_module()
        _refuse_foreign_calls(declared, library._final_module)
        return compiled.fndesc.llvm_func_name, library.codegen._tm.emit_object(library._final_module)


@contextmanager
def _optimising_once() -> Iterator[None]:
    """Defer optimisation until all code is linked, to optimise it once.

    Otherwise Numba optimises each function with all that it calls, and again as a part of each of its callers.
    """
    name = "_optimize_final_module"
    optimise = getattr(CodeLibrary, name)
    setattr(CodeLibrary, name, lambda library: None)
    try:
        yield
    finally:
        setattr(CodeLibrary, name, optimise)


def _refuse_foreign_calls(declared: Kernel, module: Any) -> None:
    """Reject code that creates arrays, or calls functions of other libraries: Ray actors support neither.

    Raises:
        SpecError: naming what it calls.
    """
    called = [function.name for function in module.functions if function.is_declaration]
    foreign = [
        name for name in called
        if re.match(_ROUNDED, name) or not (name.startswith("llvm.") or name in (*C_FUNCTIONS, *_EXACT))
    ]
    if not foreign:
        return
    if any(name.startswith(("NRT_", "numba_")) for name in foreign):
        remedy = "Write loops over private arrays instead of whole-array expressions, np.zeros and @."
    else:
        remedy = "Use teamnet.kernels.functions, which rounds identically on every machine."
    users = functions_outside(declared, str(_PACKAGE))
    raise SpecError(
        users[0] if users else declared.__name__,
        expected="operations that create no arrays and call only kernels" if len(users) < 2 else
        f"that this function and those at {', '.join(users[1:])} create no arrays and call only kernels",
        found=f"calls of {', '.join(foreign[:4])}", remedy=remedy,
    )


def _not_compiled(declared: Kernel, error: Exception) -> SpecError:
    """The error for code that Numba cannot compile, with the innermost line outside this package."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # colours
    lines = [
        (os.path.abspath(path), number)
        for path, number in re.findall(r'(?:File "|Raised from )([^"\n]+?)(?:", line | \()(\d+)', text)
        if path != "<string>"
    ]
    if name := re.search(r"NameError: name '(\w+)'", text):
        lines += [(path, str(line)) for path, line in lines_with_name(declared, name[1])]
    users = [line for line in lines if str(_PACKAGE) not in line[0]] or lines or [("an operation", "0")]
    reasons = [line.strip() for line in text.splitlines() if line.strip() and "pipeline" not in line]
    remedy = "Change this line: operations consist of numbers, arrays, loops and kernels."
    if unknown := re.search(r"(a \w+ has no '\w+')\. (.*)", text):
        reasons, remedy = [unknown[1]], f"{unknown[2]} Or declare a private array or a setting of this name."
    elif helper := re.search(r"Untyped global name '(\w+)'", text):
        remedy = f"Decorate {helper[1]} with @operation, if it is a function."
    return SpecError(
        ":".join(users[-1]), expected="code that Numba can compile", found="; ".join(reasons[:2])[:_SHOWN],
        remedy=remedy,
    )


def _dispatcher_of(declared: Kernel) -> Any:
    if declared.compiled is None:
        compiler: Any = numba.njit  # njit's type stubs lack these options
        declared.compiled = compiler(
            declared.function, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
        )
    return declared.compiled


@typeof_impl.register(Kernel)
def _type_of_kernel(declared: Kernel, context: Any) -> types.Type:
    return types.Dispatcher(_dispatcher_of(declared))


@typeof_impl.register(MachineCode)
def _type_of_machine_code(declared: MachineCode, context: Any) -> types.Type:
    if declared.compiled is None:
        declared.compiled = _function_type(declared.generate.__name__, declared)
    return declared.compiled


class Builder:
    """LLVM's instruction builder, and what an operation needs of Numba.

    Args:
        context, llvm, signature: as Numba passes them to code generators.
    """

    def __init__(self, context: Any, llvm: Any, signature: Any) -> None:
        self.context, self.llvm, self.signature = context, llvm, signature

    def call(self, name: str, result: Any, kinds: list[Any], arguments: list[Any], *, var_arg: bool = False) -> Any:
        """Call a C function."""
        kind = ir.FunctionType(result, kinds, var_arg=var_arg)
        return self.llvm.call(cgutils.get_or_insert_function(self.llvm.module, kind, name), arguments)

    def variable(self, value: Any) -> Any:
        """The address of a variable on the stack, initialised with a value."""
        return cgutils.alloca_once_value(self.llvm, value)

    def loop(self, count: Any) -> Any:
        """A context whose instructions are executed ``count`` times; it has ``index``."""
        return cgutils.for_range(self.llvm, count)

    def array(self, address: Any, *shape: Any) -> Any:
        """The C-ordered array at an address, of the kind that the signature returns; its items have eight bytes."""
        return _array(self.context, self.llvm, self.signature.return_type, address, shape)


def _array(context: Any, llvm: Any, kind: Any, address: Any, shape: Any) -> Any:
    item = context.get_data_type(kind.dtype)
    strides, stride = [], _I64(8)
    for extent in reversed(shape):
        strides.insert(0, stride)
        stride = llvm.mul(stride, extent)
    array = context.make_array(kind)(context, llvm)
    data = llvm.inttoptr(address, item.as_pointer())
    populate_array(array, data=data, shape=list(shape), strides=strides, itemsize=_I64(8), meminfo=None)
    return array._getvalue()


def _function_type(name: str, declared: MachineCode) -> types.Type:
    """The type of an operation in machine code, by which Numba generates its instructions."""
    return types.Function(make_intrinsic_template(declared, _generator_of(declared), name))


def _generator_of(declared: MachineCode) -> Any:
    """The typing function of a Numba intrinsic, with the operation's parameters."""
    if isinstance(declared.signature, str):
        parameters, result = sigutils.normalize_signature(declared.signature)
        assert result is not None, "signatures name the return type"
        signature = result(*parameters)
    else:
        signature = declared.signature()
    names = ", ".join(f"argument_{number}" for number in range(len(signature.args)))

    def build(context: Any, llvm: Any, signature: Any, arguments: Any) -> Any:
        value = declared.generate(Builder(context, llvm, signature), *arguments)
        return context.get_dummy_value() if value is None else value

    scope: dict[str, Any] = {"signature": signature, "build": build}
    exec(f"def generator(typing_context, {names}):\n    return signature, build", scope)
    return scope["generator"]


class ViewType(types.Type):
    """The type of a :class:`teamnet.kernels.view.View` in compiled code: an address."""

    def __init__(self, view: View) -> None:
        self.view = view
        super().__init__(f"{view.name} {hashlib.sha256(repr(view).encode()).hexdigest()[:16]}")


@register_default(ViewType)
class _ViewModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _I64)


@typeof_impl.register(View)
def _type_of_view(view: View, context: Any) -> types.Type:
    """The type of the operation that returns a view of an address."""
    if view.compiled is None:
        made = MachineCode(lambda: ViewType(view)(types.int64), lambda builder, address: address, None)
        view.compiled = _function_type(view.name, made)
    return view.compiled


@infer_getattr
class _ViewAttributes(AttributeTemplate):
    key: Any = ViewType

    def generic_resolve(self, kind: Any, name: str) -> Any:
        view = kind.view
        if name in view.scalars:
            return _SCALARS[view.scalars[name]][0]
        if name in view.arrays:
            return types.Array(types.float64, len(view.arrays[name]), "C")
        if name in view.records:
            return ViewType(view.records[name])
        raise TypingError(f"a {view.name} has no {name!r}. {nearest(name, view.places)}")


def _field(llvm: Any, view: View, address: Any, name: str) -> Any:
    """The pointer to a field."""
    item = _SCALARS[view.scalars.get(name, "i")][1]
    return llvm.inttoptr(llvm.add(address, _I64(view.offset(name))), item.as_pointer())


@lower_getattr_generic(ViewType)
def _get_attribute(context: Any, llvm: Any, kind: Any, address: Any, name: str) -> Any:
    view = kind.view
    value = llvm.load(_field(llvm, view, address, name))
    if name not in view.arrays:
        return value
    shape = [
        _I64(extent) if isinstance(extent, int) else llvm.load(_field(llvm, view, address, extent))
        for extent in view.arrays[name]
    ]
    return _array(context, llvm, types.Array(types.float64, len(shape), "C"), value, shape)


@lower_setattr_generic(ViewType)
def _set_attribute(context: Any, llvm: Any, signature: Any, arguments: Any, name: str) -> None:
    kind = signature.args[0]
    if name not in kind.view.scalars:
        raise LoweringError(f"{name!r} is an array: change its elements, {name}[row, j] = ...")
    value = context.cast(llvm, arguments[1], signature.args[1], _SCALARS[kind.view.scalars[name]][0])
    llvm.store(value, _field(llvm, kind.view, arguments[0], name))
