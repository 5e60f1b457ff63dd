"""Calls of losses and distances."""

from __future__ import annotations

from collections.abc import Callable

from drawing import Call, Draw

CALLS: dict[str, Callable[[Draw], Call]] = {}
