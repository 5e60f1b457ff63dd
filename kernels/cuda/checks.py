"""Errors that a kernel finds: written into a report there, raised where the host waits next.

Looking on the host whether an index is in range would make it wait for the device at every step.
Instead the kernel that reads the index looks, and the first offender is reported by
`report_index` of `checks.cuh`. The report lies in host memory that the device can write, so that
asking for it (`raise_pending`, called wherever the host has just waited) is a read of memory.
"""

from __future__ import annotations

import ctypes

from .launching import RecordingBackend, backend


class Report(ctypes.Structure):
    """`IndexReport` of `checks.cuh`: who claimed it, the number of the message, the offender."""

    _fields_ = (
        ("claimed", ctypes.c_uint),
        ("message", ctypes.c_int),
        ("value", ctypes.c_longlong),
    )


_messages: list[tuple[str, type[Exception]]] = []
_numbers: dict[tuple[str, type[Exception]], int] = {}
_reports: dict[tuple[type, int], Report] = {}  # by kind of back end and device


def watch(message: str, error: type[Exception] = IndexError) -> tuple[int, int]:
    """What a kernel needs to report an offender: the address of the report and a number.

    message   what `raise_pending` says, with `{value}` for the offending value. It names the
              operation and what would be right; each different one is kept
    error     the exception to raise
    """
    where = backend()
    while type(where) is RecordingBackend:
        where = where.inner
    place = type(where), where.device()
    report = _reports.get(place)
    if report is None:
        memory = where.host_memory(ctypes.sizeof(Report))
        report = _reports[place] = Report.from_buffer(memory)  # which keeps the memory alive
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
    for report in tuple(_reports.values()):
        if report.message:
            message, error = _messages[report.message - 1]
            text = message.replace("{value}", str(report.value))
            _clear(report)
            raise error(text)


def _clear(report: Report) -> None:
    report.message = report.value = report.claimed = 0
