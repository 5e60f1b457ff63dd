"""Arranging, joining, picking and scattering; views are left out, they cost no pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

import tapegrad as tg
from tapegrad.nn import functional as F

from .inputs import SIDE, Row, same


def scattered(x: Any, k: Any) -> Any:
    out = np.zeros_like(x)
    np.put_along_axis(out, k, x, 1)
    return out


def embedded(x: Any, r: Any) -> Any:
    return x[r]


def masked_scattered(x: Any, b: Any, y: Any) -> Any:
    out = x.copy()
    out[b] = y.ravel()[: np.count_nonzero(b)]
    return out


def index_added(x: Any, y: Any, r: Any) -> Any:
    out = x.copy()
    np.add.at(out, r, y)
    return out


def index_filled(x: Any, r: Any) -> Any:
    out = x.copy()
    out[r] = 0.5
    return out


def index_copied(x: Any, y: Any, r: Any) -> Any:
    out = x.copy()
    out[r] = y
    return out


def index_put(v: Any, i: Any) -> Any:
    out = v.copy()
    out[i] = v
    return out


def index_reduced(x: Any, y: Any, r: Any) -> Any:
    out = x.copy()
    np.maximum.at(out, r, y)
    return out


def scatter_added(x: Any, k: Any, y: Any) -> Any:
    out = x.copy()
    np.add.at(out, (np.arange(SIDE)[:, None], k), y)
    return out


def scatter_reduced(x: Any, k: Any, y: Any) -> Any:
    out = x.copy()
    np.maximum.at(out, (np.arange(SIDE)[:, None], k), y)
    return out


def put(v: Any, i: Any) -> Any:
    out = v.copy()
    np.put(out, i, v)
    return out


def select_scattered(x: Any, w: Any) -> Any:
    out = x.copy()
    out[3] = w
    return out


def slice_scattered(x: Any, y: Any) -> Any:
    out = x.copy()
    out[:500] = y[:500]
    return out


def diagonal_scattered(x: Any, w: Any) -> Any:
    out = x.copy()
    np.fill_diagonal(out, w)
    return out


ROWS: dict[str, Row] = {
    "cat": ("xy", lambda x, y: tg.cat([x, y], 1), lambda x, y: np.concatenate([x, y], 1)),
    "stack": ("xy", lambda x, y: tg.stack([x, y]), lambda x, y: np.stack([x, y])),
    "clone": ("x", tg.clone, np.copy),
    "flip": ("x", lambda x: tg.flip(x, (1,)), lambda x: np.flip(x, 1).copy()),
    "roll": ("x", lambda x: tg.roll(x, 7, 1), lambda x: np.roll(x, 7, 1)),
    "rot90": ("x", lambda x: tg.rot90(x), lambda x: np.rot90(x).copy()),
    "tile": ("w", lambda w: tg.tile(w, (1000,)), lambda w: np.tile(w, 1000)),
    "repeat_interleave": ("w", lambda w: tg.repeat_interleave(w, 1000),
                          lambda w: np.repeat(w, 1000)),
    "tril": same("tril"),
    "triu": same("triu"),
    "diag_embed": ("w", lambda w: tg.diag_embed(w), np.diag),
    "pad": ("x", lambda x: F.pad(x, (3, 3, 3, 3)), lambda x: np.pad(x, 3)),
    "pad reflect": ("m", lambda m: F.pad(m, (3, 3, 3, 3), "reflect"),
                    lambda m: np.pad(m, ((0, 0), (0, 0), (3, 3), (3, 3)), "reflect")),
    "arange": ("w", lambda w: tg.arange(SIDE * SIDE), lambda w: np.arange(SIDE * SIDE)),
    "linspace": ("w", lambda w: tg.linspace(0, 1, SIDE * SIDE),
                 lambda w: np.linspace(0, 1, SIDE * SIDE, dtype=np.float32)),
    "logspace": ("w", lambda w: tg.logspace(0, 1, SIDE * SIDE),
                 lambda w: np.logspace(0, 1, SIDE * SIDE, dtype=np.float32)),
    "eye": ("w", lambda w: tg.eye(SIDE), lambda w: np.eye(SIDE, dtype=np.float32)),
    "full": ("w", lambda w: tg.full((SIDE, SIDE), 2.0),
             lambda w: np.full((SIDE, SIDE), 2.0, np.float32)),
    "full_like": ("x", lambda x: tg.full_like(x, 2.0), lambda x: np.full_like(x, 2.0)),
    "ones": ("w", lambda w: tg.ones(SIDE, SIDE), lambda w: np.ones((SIDE, SIDE), np.float32)),
    "ones_like": same("ones_like", "x"),
    "zeros": ("w", lambda w: tg.zeros(SIDE, SIDE) + 1,
              lambda w: np.zeros((SIDE, SIDE), np.float32) + 1),
    "zeros_like": ("x", lambda x: tg.zeros_like(x) + 1, lambda x: np.zeros_like(x) + 1),
    "tril_indices": ("w", lambda w: tg.tril_indices(SIDE, SIDE),
                     lambda w: np.stack(np.tril_indices(SIDE))),
    "triu_indices": ("w", lambda w: tg.triu_indices(SIDE, SIDE),
                     lambda w: np.stack(np.triu_indices(SIDE))),
    "hstack": ("xy", lambda x, y: tg.hstack([x, y]), lambda x, y: np.hstack([x, y])),
    "vstack": ("xy", lambda x, y: tg.vstack([x, y]), lambda x, y: np.vstack([x, y])),
    "dstack": ("xy", lambda x, y: tg.dstack([x, y]), lambda x, y: np.dstack([x, y])),
    "column_stack": ("xy", lambda x, y: tg.column_stack([x, y]),
                     lambda x, y: np.column_stack([x, y])),
    "cat many": ("x", lambda x: tg.cat(tg.split(x, 40)), lambda x: np.concatenate(np.split(x, 25))),
    "block_diag": ("c", lambda c: tg.block_diag(*[c] * 15), lambda c: linalg.block_diag(*[c] * 15)),
    "cartesian_prod": ("w", lambda w: tg.cartesian_prod(w, w),
                       lambda w: np.stack(np.meshgrid(w, w, indexing="ij"), -1).reshape(-1, 2)),
    "combinations": ("w", lambda w: tg.combinations(w),
                     lambda w: w[np.stack(np.triu_indices(SIDE, 1), -1)]),
    "meshgrid": ("w", lambda w: [g + 1 for g in tg.meshgrid(w, w, indexing="ij")],
                 lambda w: [g + 1 for g in np.meshgrid(w, w, indexing="ij", copy=False)]),
    "unbind": ("x", lambda x: tg.unbind(x), list),
    "split": ("x", lambda x: tg.split(x, 10), lambda x: np.split(x, 100)),
    "tensor_split": ("x", lambda x: tg.tensor_split(x, 100), lambda x: np.array_split(x, 100)),
    "repeat": ("x", lambda x: x.repeat(1, 2), lambda x: np.tile(x, (1, 2))),
    "diag": ("w", lambda w: tg.diag(w), np.diag),
    "diagflat": same("diagflat", "w"),
    "constant_pad_nd": ("m", lambda m: tg.constant_pad_nd(m, (1, 1, 1, 1), 0.5),
                        lambda m: np.pad(m, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)),
    "pad circular": ("m", lambda m: F.pad(m, (3, 3, 3, 3), "circular"),
                     lambda m: np.pad(m, ((0, 0), (0, 0), (3, 3), (3, 3)), "wrap")),
    "pad replicate": ("m", lambda m: F.pad(m, (3, 3, 3, 3), "replicate"),
                      lambda m: np.pad(m, ((0, 0), (0, 0), (3, 3), (3, 3)), "edge")),
    "contiguous": ("x", lambda x: x.T.contiguous(), lambda x: np.ascontiguousarray(x.T)),
    "reshape copied": ("x", lambda x: x.T.reshape(-1), lambda x: x.T.reshape(-1)),
    "channel_shuffle": ("m", lambda m: F.channel_shuffle(m, 4),
                        lambda m: m.reshape(4, 4, 4, 128, 128).swapaxes(1, 2)
                        .reshape(m.shape)),
    "pixel_unshuffle": ("m", lambda m: F.pixel_unshuffle(m, 2),
                        lambda m: m.reshape(4, 16, 64, 2, 64, 2).transpose(0, 1, 3, 5, 2, 4)
                        .reshape(4, 64, 64, 64)),
    "to": ("x", lambda x: x.double(), lambda x: x.astype(np.float64)),
    "index unique": ("vi", lambda v, i: v[i], lambda v, i: v[i]),
    "index rows": ("xr", lambda x, r: x[r], embedded),
    "index mask": ("xb", lambda x, b: x[b], lambda x, b: x[b]),
    "index_select": ("xr", lambda x, r: tg.index_select(x, 1, r), lambda x, r: x.take(r, 1)),
    "gather": ("xk", lambda x, k: tg.gather(x, 1, k),
               lambda x, k: np.take_along_axis(x, k, 1)),
    "scatter": ("xk", lambda x, k: tg.scatter(tg.zeros_like(x), 1, k, x), scattered),
    "take": ("vi", lambda v, i: tg.take(v, i), lambda v, i: v.take(i)),
    "embedding": ("xr", lambda x, r: F.embedding(r, x), embedded),
    "one_hot": ("t", lambda t: F.one_hot(t, SIDE),
                lambda t: (t[:, None] == np.arange(SIDE)).astype(np.int64)),
    "index slice": ("x", lambda x: x[::2, 1:] + 0, lambda x: x[::2, 1:] + 0),
    "index pair": ("xr", lambda x, r: x[r[:, None], r], lambda x, r: x[r[:, None], r]),
    "argwhere": same("argwhere", "b"),
    "nonzero": ("b", lambda b: tg.nonzero(b), np.argwhere),
    "nonzero_static": ("b", lambda b: tg.nonzero_static(b, size=SIDE),
                       lambda b: np.argwhere(b)[:SIDE]),
    "masked_select": ("xb", lambda x, b: tg.masked_select(x, b), lambda x, b: x[b]),
    "masked_scatter": ("xby", lambda x, b, y: tg.masked_scatter(x, b, y), masked_scattered),
    "index_add": ("xyr", lambda x, y, r: tg.index_add(x, 0, r, y), index_added),
    "index_copy": ("xyr", lambda x, y, r: tg.index_copy(x, 0, r, y), index_copied),
    "index_fill": ("xr", lambda x, r: tg.index_fill(x, 0, r, 0.5), index_filled),
    "index_put": ("vi", lambda v, i: tg.index_put(v, (i,), v), index_put),
    "index_reduce": ("xyr", lambda x, y, r: tg.index_reduce(x, 0, r, y, "amax"), index_reduced),
    "scatter_add": ("xky", lambda x, k, y: tg.scatter_add(x, 1, k, y), scatter_added),
    "scatter_reduce": ("xky", lambda x, k, y: tg.scatter_reduce(x, 1, k, y, "amax"),
                       scatter_reduced),
    "put": ("vi", lambda v, i: tg.put(v, i, v), put),
    "take_along_dim": ("xk", lambda x, k: tg.take_along_dim(x, k, 1),
                       lambda x, k: np.take_along_axis(x, k, 1)),
    "fill": ("x", lambda x: tg.fill(x, 2.0), lambda x: np.full_like(x, 2.0)),
    "select_scatter": ("xw", lambda x, w: tg.select_scatter(x, w, 0, 3), select_scattered),
    "slice_scatter": ("xy", lambda x, y: tg.slice_scatter(x, y[:500], 0, 0, 500), slice_scattered),
    "diagonal_scatter": ("xw", lambda x, w: tg.diagonal_scatter(x, w), diagonal_scattered),
    "unravel_index": ("i", lambda i: tg.unravel_index(i, (SIDE, SIDE)),
                      lambda i: np.unravel_index(i, (SIDE, SIDE))),
    "embedding_bag": ("xk", lambda x, k: F.embedding_bag(k[:, :10], x),
                      lambda x, k: x[k[:, :10]].mean(1)),
}  # fmt: skip
