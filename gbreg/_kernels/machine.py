"""Bodies of loops -> machine code, called through pointers: compiled once, kept on disk, serial and parallel alike.

A body is a plain function of (block, sizes, steps, frame), as OpenMP's loop of numba calls it: the numbers of a block of
rows, and of bad rows in it, are ``block[0][0]`` and ``block[1][0]``; `frame` is the address of 64-bit integers that say
where the arrays are. No array of Python crosses the border, so that one compilation serves every dtype and memory layout,
and loading it asks nothing of numba.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba import cfunc, float32, float64, int64, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.extending import intrinsic
from numpy.typing import NDArray

from gbreg._compat import object_code
from gbreg._kernels import cache as disk
from gbreg._kernels.fingerprint import Unreadable, fingerprint

Array = NDArray[Any]
Function = Callable[..., Any]

# "contract" only (fused multiply-add): nnan and ninf would delete the finiteness checks, reassoc the compensated sums.
_MATH: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
LOOP: dict[str, Any] = {**_MATH, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# A call left inside the loop keeps LLVM from vectorising it.
SCALAR: dict[str, Any] = {**LOOP, "forceinline": True}

# Settings of numba under which it compiles otherwise.
_SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "ENABLE_AVX",
    "DEBUGINFO_DEFAULT",
    "LLVM_REFPRUNE_PASS",
)


def _pointer_to(kind: Any) -> Any:
    @intrinsic
    def pointer(typing_context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(int64), codegen

    return pointer


# Addresses -> pointers, which compiled code indexes like arrays.
doubles, singles, integers = _pointer_to(float64), _pointer_to(float32), _pointer_to(int64)


_Integers = ctypes.c_int64
_One = _Integers * 4
_Byte = ctypes.c_char


class Kernel:
    """A compiled body.

    Parameters
    ----------
    address : int
        Of its machine code.
    owner : object
        Keeps the machine code alive.
    """

    def __init__(self, address: int, owner: Any):
        self.address = address
        self._owner = owner
        self._call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(address)

    def __call__(self, frame: Sequence[int], n_blocks: int = 1) -> int:
        """Run the blocks, each in a thread of its own; the number of bad rows. The frame's arrays must outlive the call."""
        if n_blocks == 1:
            return self.prepared(frame)()
        numbers, counts = (_Integers * n_blocks)(*range(n_blocks)), (_Integers * n_blocks)()
        block = (ctypes.c_void_p * 2)(ctypes.addressof(numbers), ctypes.addressof(counts))
        pool, sizes, steps = _pool(), _Integers(n_blocks), (_Integers * 2)(8, 8)
        assert pool is not None
        before = pool.get_threads()
        pool.run(self.address, block, ctypes.byref(sizes), steps, _packed(frame), 0, 2, n_blocks)
        pool.set_threads(before)
        return sum(counts)

    def prepared(self, frame: Sequence[int]) -> Callable[[], int]:
        """The call of one block, for arrays that are filled anew in the same place; not for several threads at once."""
        block, values, call = _One(), _packed(frame), self._call
        start = ctypes.addressof(block)
        block[2], block[3] = start, start + 8  # where the block's number and its count are

        def run() -> int:
            call(start + 16, None, None, values)
            return block[1]

        return run


def _packed(frame: Sequence[int]) -> bytes:
    return struct.pack(f"{len(frame)}q", *frame)


def address_of(array: Array) -> int:
    try:
        return ctypes.addressof(_Byte.from_buffer(array))  # type: ignore[arg-type]  # a third of what numpy's own takes
    except (TypeError, ValueError, BufferError):  # read-only, empty, or not contiguous
        address: int = array.__array_interface__["data"][0]
        return address


_MADE: list[Kernel] = []


def make_kernel(body: Function) -> Kernel:
    """Compile a body, or load what an earlier process compiled of the same."""
    with global_compiler_lock:
        try:
            key = fingerprint(body, _environment())
        except Unreadable:
            key = None
        kernel = None if key is None else _loaded(key)
        if kernel is None:
            kernel = _compiled(body, key)
        _MADE.append(kernel)
    return kernel


def kernels_made() -> int:
    """How many kernels have been compiled or loaded in this process."""
    return len(_MADE)


def _compiled(body: Function, key: str | None) -> Kernel:
    numbers = types.CPointer(int64)
    signature = types.void(types.CPointer(numbers), numbers, numbers, numbers)
    callback = cfunc(signature, **_MATH)(body)
    if key is not None:
        machine, module = object_code(callback)
        disk.save(key, disk.Code(callback.native_name, _outside(module), machine))
    return Kernel(callback.address, callback)


def _outside(module: Any) -> list[str]:
    """The symbols that a module calls and does not define. LLVM leaves declarations behind that nothing calls any more."""
    text = str(module)
    declared = [function.name for function in module.functions if function.is_declaration]
    declared += [variable.name for variable in module.global_variables if variable.is_declaration]
    outside = [name for name in declared if not name.startswith("llvm.")]
    return [name for name in outside if len(re.findall(rf'@"?{re.escape(name)}\b', text)) > 1]


def _loaded(key: str) -> Kernel | None:
    code = disk.load(key)
    if code is None or not all(_is_there(symbol) for symbol in code.symbols):
        return None
    # An engine of its own: object files of two processes may give one name to two functions.
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.machine))
    engine.finalize_object()
    address = engine.get_function_address(code.entry)
    return Kernel(address, engine) if address else None


def _is_there(symbol: str) -> bool:
    if llvm.address_of_symbol(symbol) is None:
        rtsys.initialize(cpu_target.target_context)  # numba's own functions; linking to none is fatal
    return llvm.address_of_symbol(symbol) is not None


@cache
def _environment() -> str:
    """What decides the machine code beside its source. Asking for it also makes LLVM ready to load code."""
    settings = {name: getattr(numba.config, name, None) for name in _SETTINGS}
    versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__, platform.machine()
    return repr((versions, cpu_target.target_context.codegen().magic_tuple(), settings))


class _Pool:
    """The threads of OpenMP, one pool with LightGBM, as numba's own parallel loops use them."""

    def __init__(self) -> None:
        pool = importlib.import_module("numba.np.ufunc.omppool")  # there only where numba was built with OpenMP
        pointer, size, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        # Of (function, bases, sizes, steps, data, inner dimensions, arrays, threads): numba_parallel_for.
        self.run = ctypes.CFUNCTYPE(None, *[pointer] * 5, size, size, integer)(pool.parallel_for)
        self.get_threads = ctypes.CFUNCTYPE(integer)(pool.get_num_threads)
        self.set_threads = ctypes.CFUNCTYPE(None, integer)(pool.set_num_threads)
        self.process = os.getpid()
        launch = ctypes.CFUNCTYPE(None, integer)(pool.launch_threads)
        # It sets OpenMP's number for the calling thread, in which LightGBM may be at work.
        starter = threading.Thread(target=launch, args=(numba.config.NUMBA_NUM_THREADS,))
        starter.start()
        starter.join()


@cache
def _pool() -> _Pool | None:
    """Measured on 300,000 x 30 rows, LightGBM, 2 cores, kernel / whole round: OpenMP (one pool with LightGBM) 1.0 / 17 ms,
    one thread 1.9 / 19 ms, numba's own workqueue 3.1 / 24 ms. So it is OpenMP or nothing.
    """
    try:
        return _Pool()
    except ImportError:
        return None


def blocks_for(n_threads: int) -> int:
    """In how many blocks rows are shared between threads: 1 where there are none.

    GNU OpenMP must not be entered again in a forked child.
    """
    pool = _pool() if n_threads > 1 else None
    return min(n_threads, int(numba.config.NUMBA_NUM_THREADS)) if pool and pool.process == os.getpid() else 1
