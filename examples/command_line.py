"""What the programs of this folder have in common: arguments, checks, errors in one line."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import tapegrad as tg


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def positive(kind: type) -> Any:
    """A reader of finite numbers above zero, for argparse."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a positive {noun}, not {text!r}")
        return value

    return read


def training_parser(description: str, *, epochs: int, lr: float, out: str) -> Parser:
    """The arguments of a program that trains a network and writes into a folder."""
    parser = Parser(description=description)
    whole = positive(int)
    parser.add_argument("--epochs", type=whole, default=epochs, help="passes over the images")
    parser.add_argument("--batch-size", type=whole, default=64, help="images per step")
    parser.add_argument("--lr", type=positive(float), default=lr, help="the learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and noise")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument("--out", type=Path, default=Path(out), help="output folder")
    return parser


def start(parser: Parser, run: Callable[[argparse.Namespace], None]) -> None:
    """Read the command line, check the device and the folder, and run."""
    arguments = parser.parse_args()
    try:
        tg.zeros(1, device=arguments.device)
    except RuntimeError as error:
        parser.error(str(error))
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=arguments.out).close()
    except OSError as error:
        parser.error(f"cannot write to the output folder {arguments.out}: {error.strerror}")
    try:
        run(arguments)
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted\n")
