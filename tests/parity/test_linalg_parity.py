"""Linear algebra next to PyTorch, and what we do better: mistakes, singular matrices, symmetry."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import gradcheck, gradgradcheck

REGULAR = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.3], [0.2, -1.0, 1.5]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
STACK = np.stack([np.eye(2), SINGULAR])
RANKS = np.random.default_rng(0)


def of_rank(n, rank):
    return RANKS.standard_normal((n, rank)) @ RANKS.standard_normal((rank, n))


def leaf(values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (3, 0), (5, 3)])
def test_det_of_a_singular_matrix_has_the_gradient_that_finite_differences_find(n, rank):
    x = leaf(of_rank(n, rank))
    assert gradcheck(tg.linalg.det, x)
    assert gradgradcheck(tg.linalg.det, x)


def test_det_of_a_stack_of_regular_and_singular_matrices_is_right_for_both():
    x = leaf(STACK)
    tg.linalg.det(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[0], np.eye(2))
    np.testing.assert_allclose(x.grad.numpy()[1], [[4, -2], [-2, 1]], atol=1e-14)


@pytest.mark.parametrize("function", ["eigvalsh", "svdvals"])
def test_values_that_coincide_have_finite_gradients(function):
    x = leaf(np.eye(3))
    getattr(tg.linalg, function)(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.eye(3), atol=1e-14)


def test_vectors_of_values_that_coincide_have_infinite_or_missing_gradients(same):
    def gradient(m, x):
        return m.grad(m.linalg.eigh(x)[1][0, 1], x)[0].isfinite().all()

    same(gradient, np.eye(2), order=0)


def test_the_gradient_of_cholesky_is_symmetric_and_reads_one_triangle(same):
    x = REGULAR @ REGULAR.T
    for upper in (False, True):
        junk = np.where(np.tri(3, k=-1).T if not upper else np.tri(3, k=-1), 99.0, x)
        same(lambda m, x, upper=upper: m.linalg.cholesky(x, upper=upper), junk)


def test_qr_of_wide_and_tall_matrices_to_second_order():
    for shape in [(2, 4), (4, 2), (3, 3), (2, 2, 3)]:
        x = leaf(RANKS.standard_normal(shape))
        assert gradcheck(tg.linalg.qr, x)
        assert gradgradcheck(tg.linalg.qr, x)


def test_a_function_that_does_not_see_signs_has_the_gradient_of_the_matrix_itself():
    def rebuilt(x):
        u, s, vh = tg.linalg.svd(x, full_matrices=False)
        return (u * s * s) @ vh

    for shape in [(3, 3), (2, 3), (3, 2)]:
        x = leaf(RANKS.standard_normal(shape))
        assert gradcheck(rebuilt, x)
        assert gradgradcheck(rebuilt, x)

    def exponential(x):
        values, vectors = tg.linalg.eigh(x + x.mT)
        return (vectors * values.exp()) @ vectors.mT

    x = leaf(RANKS.standard_normal((3, 3)))
    np.testing.assert_allclose(
        exponential(x).detach().numpy(), tg.linalg.matrix_exp(x + x.mT).detach().numpy()
    )
    assert gradcheck(exponential, x)
    assert gradgradcheck(exponential, x)


@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, float("inf"), -float("inf")])
def test_cond_has_a_gradient_in_every_norm(p):
    assert gradcheck(lambda x: tg.linalg.cond(x, p), leaf(REGULAR))


@pytest.mark.parametrize("p", [1, 1.5, 2, 2.5, 3, float("inf"), "fro"])
def test_the_norm_of_zero_has_the_gradient_0_in_every_order(p):
    x = leaf(np.zeros((2, 3)))
    norm = tg.linalg.matrix_norm(x) if p == "fro" else tg.linalg.vector_norm(x, p)
    (first,) = tg.autograd.grad(norm, x, create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), x, materialize_grads=True, allow_unused=True)
    assert not first.detach().numpy().any()
    assert not second.numpy().any()


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"])
def test_the_distance_of_equal_points_has_the_gradient_0(p, mode):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = tg.cdist(x, x.detach(), p, mode)
    (y * tg.eye(2, dtype=tg.float64)).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_only_the_triangle_that_is_read_receives_a_gradient():
    x, b = leaf(REGULAR), tg.ones(3, 1, dtype=tg.float64)
    tg.linalg.solve_triangular(x, b, upper=True).sum().backward()
    assert np.array_equal(x.grad.numpy(), np.triu(x.grad.numpy()))


def test_many_small_triangles_are_solved_as_one_large():
    a, b = RANKS.standard_normal((40, 3, 3)) + 3 * np.eye(3), RANKS.standard_normal((40, 3, 2))
    for upper in (False, True):
        for unit in (False, True):
            options = {"upper": upper, "unitriangular": unit}
            many = tg.linalg.solve_triangular(tg.tensor(a), tg.tensor(b), **options)
            for i in range(40):
                one = tg.linalg.solve_triangular(tg.tensor(a[i]), tg.tensor(b[i]), **options)
                np.testing.assert_allclose(many[i].numpy(), one.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 2, 2)])
def test_nothing_is_inverted_solved_and_decomposed_too(same, shape):
    x = np.zeros(shape)
    same(lambda m, x: [m.linalg.inv(x), m.linalg.det(x), m.linalg.matrix_exp(x)], x)
    same(lambda m, x: [*m.linalg.svd(x), *m.linalg.qr(x), *m.linalg.eigh(x)], x)
    same(lambda m, x: [m.linalg.solve(x, x), m.linalg.cholesky(x), m.linalg.pinv(x)], x)


def test_a_factor_of_what_is_singular_is_nan_where_errors_are_not_asked_for(same):
    for function in (tg.linalg.inv_ex, lambda x: tg.linalg.solve_ex(x, tg.ones(2, dtype=x.dtype))):
        found, info = function(tg.tensor(STACK))
        assert info.tolist() == [0, 2]
        assert np.isnan(found.numpy()[1]).all()
        assert not np.isnan(found.numpy()[0]).any()
    negative = tg.tensor(np.stack([np.eye(2), -SINGULAR]))
    assert tg.linalg.cholesky_ex(negative).info.tolist() == [0, 1]
    same(lambda m, x: m.linalg.inv_ex(x)[1], STACK, order=0)
    same(lambda m, x: m.linalg.cholesky_ex(x)[1], STACK - 0.5, order=0)


SINGULARITIES = {
    "linalg.inv": lambda m, x: m.linalg.inv(x),
    "linalg.solve": lambda m, x: m.linalg.solve(x, x),
    "linalg.cholesky": lambda m, x: m.linalg.cholesky(-x),
    "inverse": lambda m, x: m.inverse(x),
}


@pytest.mark.parametrize("name", SINGULARITIES)
def test_a_singular_matrix_is_an_error_that_says_which(name):
    with pytest.raises(tg.linalg.LinAlgError, match=r"matrix 1 of the batch|matrix 0 of the batch"):
        SINGULARITIES[name](tg, tg.tensor(STACK))
    assert issubclass(tg.linalg.LinAlgError, RuntimeError)
    assert issubclass(tg.linalg.LinAlgError, np.linalg.LinAlgError)


X, Y = np.zeros((2, 3)), np.zeros((2, 4))
E, H = np.eye(2), np.eye(2, dtype=np.float16)
MISTAKES = {
    "inv: not square": (lambda m, x: m.linalg.inv(x), (X,), ["linalg.inv", "float64[2, 3]"]),
    "inv: vector": (lambda m, x: m.linalg.inv(x), (X[0],), ["linalg.inv", "float64[3]"]),
    "inv: whole": (lambda m, x: m.linalg.inv(x), (E.astype(int),), ["linalg.inv", "int64"]),
    "inv: half": (lambda m, x: m.linalg.inv(x), (H,), ["linalg.inv", "float16"]),
    "svd: half": (lambda m, x: m.linalg.svd(x), (H,), ["linalg.svd", "float16"]),
    "eigh: UPLO": (lambda m, x: m.linalg.eigh(x, "Z"), (E,), ["linalg.eigh", "'Z'"]),
    "qr: mode": (lambda m, x: m.linalg.qr(x, "full"), (X,), ["linalg.qr", "'full'"]),
    "solve: shapes": (lambda m, x, y: m.linalg.solve(x, y), (E, X.T), ["float64[3, 2]"]),
    "solve: dtypes": (
        lambda m, x, y: m.linalg.solve(x, y),
        (E, E.astype(np.float32)),
        ["linalg.solve", "float64", "float32"],
    ),
    "solve: batches": (
        lambda m, x, y: m.linalg.solve(x, y),
        (np.ones((3, 2, 2)), np.ones((2, 2, 1))),
        ["linalg.solve", "float64[3, 2, 2]", "float64[2, 2, 1]"],
    ),
    "solve_triangular: shapes": (
        lambda m, x, y: m.linalg.solve_triangular(x, y, upper=True),
        (E, X.T),
        ["linalg.solve_triangular", "float64[3, 2]"],
    ),
    "norm: dims": (lambda m, x: m.linalg.norm(x, 2), (np.ones((2, 2, 2)),), ["linalg.norm"]),
    "matrix_norm: ord": (lambda m, x: m.linalg.matrix_norm(x, 3), (E,), ["linalg.matrix_norm"]),
    "matrix_norm: dim": (
        lambda m, x: m.linalg.matrix_norm(x, dim=(1, 1)),
        (E,),
        ["linalg.matrix_norm", "(1, 1)"],
    ),
    "vector_norm: whole": (
        lambda m, x: m.linalg.vector_norm(x),
        (E.astype(int),),
        ["linalg.vector_norm", "int64"],
    ),
    "multi_dot: shapes": (
        lambda m, x, y: m.linalg.multi_dot([x, y]),
        (X, Y),
        ["linalg.multi_dot", "float64[2, 3]", "float64[2, 4]"],
    ),
    "cross: size": (lambda m, x: m.linalg.cross(x, x), (E,), ["linalg.cross", "float64[2, 2]"]),
    "tensorinv: shape": (lambda m, x: m.linalg.tensorinv(x, ind=1), (X,), ["linalg.tensorinv"]),
    "vander: N": (lambda m, x: m.linalg.vander(x, N=1), (X,), ["linalg.vander", "1"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)


def test_qr_without_a_derivative_says_why():
    x = leaf(X + 1)
    with pytest.raises(RuntimeError, match="mode='reduced'"):
        tg.linalg.qr(x.mT, mode="complete").Q.sum().backward()
