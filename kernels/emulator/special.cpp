// The functions that CUDA has and glibc has not, in double precision (declared in math.hpp).
#include <math.h>

namespace emulator {

// Acklam's rational approximation of the quantile of the normal distribution, improved by two steps
// of Halley's method to all digits of double precision.
double inverse_normal(double p) {
    if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    if (p > 0.5) return -inverse_normal(1 - p);
    double x;
    if (p < 0.02425) {
        double q = sqrt(-2 * log(p));
        double above = -7.784894002430293e-03;
        above = above * q - 3.223964580411365e-01;
        above = above * q - 2.400758277161838e+00;
        above = above * q - 2.549732539343734e+00;
        above = above * q + 4.374664141464968e+00;
        above = above * q + 2.938163982698783e+00;
        double below = 7.784695709041462e-03;
        below = below * q + 3.224671290700398e-01;
        below = below * q + 2.445134137142996e+00;
        below = below * q + 3.754408661907416e+00;
        x = above / (below * q + 1);
    } else {
        double q = p - 0.5, r = q * q;
        double above = -3.969683028665376e+01;
        above = above * r + 2.209460984245205e+02;
        above = above * r - 2.759285104469687e+02;
        above = above * r + 1.383577518672690e+02;
        above = above * r - 3.066479806614716e+01;
        above = above * r + 2.506628277459239e+00;
        double below = -5.447609879822406e+01;
        below = below * r + 1.615858368580409e+02;
        below = below * r - 1.556989798598866e+02;
        below = below * r + 6.680131188771972e+01;
        below = below * r - 1.328068155288572e+01;
        x = above * q / (below * r + 1);
    }
    for (int i = 0; i < 2; i++) {
        double error = erfc(-x * M_SQRT1_2) / 2 - p;
        double step = error * sqrt(2 * M_PI) * exp(x * x / 2);
        x -= step / (1 + x * step / 2);
    }
    return x;
}

double inverse_error_function(double x) {
    if (fabs(x) > 0.5) {
        double tail = -inverse_normal((1 - fabs(x)) / 2) * M_SQRT1_2;
        return x < 0 ? -tail : tail;
    }
    double half_root_of_pi = 0.88622692545275801365, y = x * half_root_of_pi;
    for (int i = 0; i < 6; i++)  // Newton's method: near 0 the error function is nearly a line
        y -= (erf(y) - x) * half_root_of_pi * exp(y * y);
    return x == 0 ? x : y;
}

// exp(x * x) * erfc(x)
double scaled_erfc(double x) {
    if (x < 25) {
        double square = x * x, rest = fma(x, x, -square);
        return exp(square) * (1 + rest) * erfc(x);
    }
    double r = 1 / (2 * x * x);
    return M_2_SQRTPI / 2 / x * (1 - r * (1 - 3 * r * (1 - 5 * r * (1 - 7 * r * (1 - 9 * r)))));
}

// The power series, all of whose terms have one sign.
static double bessel(double x, int order) {
    if (fabs(x) > 720) return order && x < 0 ? -INFINITY : INFINITY;
    double term = order ? x / 2 : 1, sum = 0;
    for (int k = 1; fabs(term) > fabs(sum) * 1e-17; k++) {
        sum += term;
        term *= x * x / 4 / (k * (k + order));
    }
    return x == x ? sum : x;
}
double bessel_i0(double x) { return bessel(x, 0); }
double bessel_i1(double x) { return bessel(x, 1); }

}  // namespace emulator
