"""Optimizers and learning-rate schedules, under PyTorch's names.

>>> import tapegrad as tg
>>> from tapegrad import nn, optim
>>> x = nn.Parameter(tg.tensor(3.0))
>>> optimizer = optim.SGD([x], lr=0.1, momentum=0.5)
>>> for _ in range(50):
...     optimizer.zero_grad()
...     ((x - 1) ** 2).backward()
...     optimizer.step()
>>> round(x.item(), 4)
1.0
"""

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
