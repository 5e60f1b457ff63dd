"""Products of matrices and linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

import tapegrad as tg
from tapegrad.nn import functional as F

from .inputs import SIDE, Row, same


def distances(c: Any) -> Any:
    return np.sqrt(np.square(c[:, None] - c).sum(-1))


ROWS: dict[str, Row] = {
    "matmul": ("xy", tg.matmul, np.matmul),
    "bmm": ("s", lambda s: tg.bmm(s, s), lambda s: s @ s),
    "mv": ("xw", tg.mv, np.matmul),
    "outer": ("w", lambda w: tg.outer(w, w), lambda w: np.outer(w, w)),
    "einsum": ("s", lambda s: tg.einsum("bij,bjk->bik", s, s), lambda s: s @ s),
    "tensordot": ("xy", lambda x, y: tg.tensordot(x, y, 1), lambda x, y: np.tensordot(x, y, 1)),
    "kron": ("c", lambda c: tg.kron(c[:32, :32], c[:32, :32]),
             lambda c: np.kron(c[:32, :32], c[:32, :32])),
    "inv": ("s", lambda s: tg.linalg.inv(s), np.linalg.inv),
    "cholesky": ("s", lambda s: tg.linalg.cholesky(s @ s.mT + 64 * tg.eye(64)),
                 lambda s: np.linalg.cholesky(
                     s @ s.swapaxes(1, 2) + 64 * np.eye(64, dtype=np.float32))),
    "solve": ("s", lambda s: tg.linalg.solve(s, s), lambda s: np.linalg.solve(s, s)),
    "solve_triangular": ("c", lambda c: tg.linalg.solve_triangular(c, c, upper=True),
                         lambda c: linalg.solve_triangular(c, c)),
    "slogdet": ("s", lambda s: tg.linalg.slogdet(s), np.linalg.slogdet),
    "svd": ("c", lambda c: tg.linalg.svd(c), np.linalg.svd),
    "eigh": ("c", lambda c: tg.linalg.eigh(c), np.linalg.eigh),
    "qr": ("c", lambda c: tg.linalg.qr(c), np.linalg.qr),
    "mm": same("mm", "xy", numpy="matmul"),
    "addmm": ("xyz", lambda x, y, z: tg.addmm(x, y, z), lambda x, y, z: x + y @ z),
    "addmv": ("wxw", lambda w, x, _: tg.addmv(w, x, w), lambda w, x, _: w + x @ w),
    "addr": ("xw", lambda x, w: tg.addr(x, w, w), lambda x, w: x + np.outer(w, w)),
    "addbmm": ("cs", lambda c, s: tg.addbmm(c, s, s), lambda c, s: c + (s @ s).sum(0)),
    "baddbmm": ("s", lambda s: tg.baddbmm(s, s, s), lambda s: s + s @ s),
    "dot": same("dot", "vv"),
    "vdot": same("vdot", "vv"),
    "inner": same("inner", "xy"),
    "cross": ("Q", lambda Q: tg.cross(Q, Q + 1, 1), lambda Q: np.cross(Q, Q + 1)),
    "chain_matmul": ("xyz", lambda x, y, z: tg.chain_matmul(x, y, z), lambda x, y, z: x @ y @ z),
    "cdist": ("c", lambda c: tg.cdist(c.repeat(8, 1), c.repeat(8, 1)),
              lambda c: distances(np.tile(c, (8, 1)))),
    "pdist": ("c", lambda c: F.pdist(c.repeat(8, 1)),
              lambda c: distances(np.tile(c, (8, 1)))[np.triu_indices(512, 1)]),
    "det": ("s", lambda s: tg.det(s), np.linalg.det),
    "logdet": ("S", lambda S: tg.logdet(S), lambda S: np.linalg.slogdet(S)[1]),
    "cholesky_inverse": ("S", lambda S: tg.cholesky_inverse(S),
                         lambda S: np.linalg.inv(S @ S.swapaxes(1, 2))),
    "cholesky_solve": ("S", lambda S: tg.cholesky_solve(S, S),
                       lambda S: np.linalg.solve(S @ S.swapaxes(1, 2), S)),
    "linalg.cholesky_ex": ("S", lambda S: tg.linalg.cholesky_ex((S + S.mT) / 2),
                           lambda S: np.linalg.cholesky((S + S.swapaxes(1, 2)) / 2)),
    "linalg.cond": ("c", lambda c: tg.linalg.cond(c), np.linalg.cond),
    "linalg.cross": ("Q", lambda Q: tg.linalg.cross(Q, Q + 1), lambda Q: np.cross(Q, Q + 1)),
    "linalg.det": ("s", lambda s: tg.linalg.det(s), np.linalg.det),
    "linalg.eigvalsh": ("s", lambda s: tg.linalg.eigvalsh(s), np.linalg.eigvalsh),
    "eigh batch": ("s", lambda s: tg.linalg.eigh(s), np.linalg.eigh),
    "qr batch": ("s", lambda s: tg.linalg.qr(s), np.linalg.qr),
    "svd batch": ("s", lambda s: tg.linalg.svd(s[:50]), lambda s: np.linalg.svd(s[:50])),
    "linalg.svdvals": ("s", lambda s: tg.linalg.svdvals(s[:50]),
                       lambda s: np.linalg.svd(s[:50], compute_uv=False)),
    "linalg.inv_ex": ("s", lambda s: tg.linalg.inv_ex(s), np.linalg.inv),
    "linalg.lstsq": ("c", lambda c: tg.linalg.lstsq(c, c), lambda c: np.linalg.lstsq(c, c)),
    "linalg.matrix_exp": ("S", lambda S: tg.linalg.matrix_exp(S), linalg.expm),
    "linalg.matrix_power": ("s", lambda s: tg.linalg.matrix_power(s, 5),
                            lambda s: np.linalg.matrix_power(s, 5)),
    "linalg.matrix_rank": ("s", lambda s: tg.linalg.matrix_rank(s[:50]),
                           lambda s: np.linalg.matrix_rank(s[:50])),
    "linalg.multi_dot": ("xyw", lambda x, y, w: tg.linalg.multi_dot([x, y, w]),
                         lambda x, y, w: np.linalg.multi_dot([x, y, w])),
    "linalg.pinv": ("s", lambda s: tg.linalg.pinv(s[:50]), lambda s: np.linalg.pinv(s[:50])),
    "linalg.solve_ex": ("s", lambda s: tg.linalg.solve_ex(s, s), lambda s: np.linalg.solve(s, s)),
    "linalg.tensorinv": ("x", lambda x: tg.linalg.tensorinv(x.reshape(SIDE, 10, 100), 1),
                         lambda x: np.linalg.tensorinv(x.reshape(SIDE, 10, 100), 1)),
    "linalg.tensorsolve": ("xw", lambda x, w: tg.linalg.tensorsolve(x, w), np.linalg.tensorsolve),
    "linalg.vander": ("v", lambda v: tg.linalg.vander(v[:125000], N=8),
                      lambda v: np.vander(v[:125000], 8, True)),
    "linalg.vecdot": ("xy", lambda x, y: tg.linalg.vecdot(x, y), lambda x, y: np.vecdot(x, y)),
}  # fmt: skip
