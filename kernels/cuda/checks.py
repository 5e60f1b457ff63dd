"""Errors that a kernel finds: written into a report there, raised where the host waits next.

Looking on the host whether an index is in range would make it wait for the device at every step.
Instead the kernel that reads the index looks, and the first offender is reported by
`report_index` of `checks.cuh`. The report lies in host memory that the device can write, so that
asking for it (`raise_pending`, called wherever the host has just waited) is a read of memory.
"""

from __future__ import annotations

import ctypes
from typing import Any

from .launching import CupyBackend, RecordingBackend, backend


class Report(ctypes.Structure):
    """`IndexReport` of `checks.cuh`: who claimed it, the number of the message, the offender."""

    _fields_ = (
        ("claimed", ctypes.c_uint),
        ("message", ctypes.c_int),
        ("value", ctypes.c_longlong),
    )


_EMULATED = -1
_messages: list[tuple[str, type[Exception]]] = []
_numbers: dict[tuple[str, type[Exception]], int] = {}
_reports: dict[int, Report] = {}  # by device


def watch(message: str, error: type[Exception] = IndexError) -> tuple[int, int]:
    """What a kernel needs to report an offender: the address of the report and a number.

    message   what `raise_pending` says, with `{value}` for the offending value. It names the
              operation and what would be right; each different one is kept
    error     the exception to raise
    """
    where = backend()
    while type(where) is RecordingBackend:
        where = where.inner
    if type(where) is CupyBackend:
        import cupy

        device = cupy.cuda.runtime.getDevice()
    else:
        device = _EMULATED
    report = _reports.get(device)
    if report is None:
        size = ctypes.sizeof(Report)
        # Pinned memory has the same address on host and devices.
        memory: Any = bytearray(size) if device < 0 else cupy.cuda.alloc_pinned_memory(size)
        report = _reports[device] = Report.from_buffer(memory)  # which keeps the memory alive
        _clear(report)
    key = message, error
    number = _numbers.get(key)
    if number is None:
        _messages.append(key)
        number = _numbers[key] = len(_messages)
    return ctypes.addressof(report), number


def raise_pending() -> None:
    """Raise what a kernel has reported, once; 0.1 us where nothing was.

    IndexError, or the error that was asked for, with the operation's name and the value.
    """
    for report in _reports.values():
        if report.message:
            message, error = _messages[report.message - 1]
            text = message.replace("{value}", str(report.value))
            _clear(report)
            raise error(text)


def _clear(report: Report) -> None:
    report.message = report.value = report.claimed = 0
