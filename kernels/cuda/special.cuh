// Functions that are summed from series: the derivatives of the logarithm of gamma and of sinc.
//
// They are computed in double precision for both types: their arguments are reduced and their
// alternating sums cancel, and they are rare.
#pragma once

// sin(pi x) / (pi x) and its derivatives by x, as `kernels/sinc.py` has them.
//
// As u f(u) = sin(u), the derivatives f_n of f follow from each other: u f_n + n f_(n-1) is the n-th
// derivative of the sine. For u smaller than n that loses digits, and the Taylor series is summed:
// its terms are (-1)^k u^(2k - n) / ((2k + 1) (2k - n)!).
__device__ __forceinline__ double sinc_derivative(double u, int order) {
    double out = 0;
    if (fabs(u) <= order + 1) {
        int odd = order & 1, first = (order + odd) / 2;
        double power = odd ? u : 1;  // u^(2k - n) / (2k - n)!
        for (int k = first; k < first + 12 + 2 * order; k++) {
            out += (k & 1 ? -power : power) / (2 * k + 1);
            power *= u * u / ((2 * k - order + 1) * (2 * k - order + 2));
        }
        return out;
    }
    double sine = sin(u), cosine = cos(u);
    out = sine / u;
    for (int n = 1; n <= order; n++) {
        double turned = n & 1 ? cosine : sine;
        out = ((n & 2 ? -turned : turned) - n * out) / u;
    }
    return out;
}
template <class T> __device__ __forceinline__ T sinc(T x, int order) {
    const double pi = 3.141592653589793;
    if (!order) return fabs(x) < T(1e-30) ? T(1) : sinpi(x) / (T(pi) * x);
    double out = sinc_derivative(pi * x, order);
    for (int n = 0; n < order; n++) out *= pi;
    return T(out);
}

// The logarithmic derivative of gamma: reflected to above 0, raised to 10, and its asymptotic
// series there. The coefficients are B_2k / (2k), Bernoulli's numbers.
__device__ __forceinline__ double digamma(double x) {
    const double pi = 3.141592653589793;
    if (x == 0) return -1 / x;
    double out = 0;
    if (x < 0) {
        if (x == floor(x)) return (x - x) / (x - x);  // a pole: NaN
        out = -pi * cospi(x) / sinpi(x);
        x = 1 - x;
    }
    for (; x < 10; x += 1) out -= 1 / x;
    double s = 1 / (x * x);
    double series = 1.0 / 132 - s * (691.0 / 32760 - s / 12);
    series = 1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * series)));
    return out + log(x) - 0.5 / x - s * series;
}

// Hurwitz' zeta function, the sum of (q + k)^-s over k >= 0, for s above 1 and q above 0, by the
// formula of Euler and Maclaurin: the first terms one by one, and the rest as an integral with
// corrections, B_2k / (2k)! s (s + 1) ... (s + 2k - 2) / q^(s + 2k - 1).
__device__ __noinline__ double zeta_above_zero(double s, double q) {
    const double bernoulli[] = {1.0 / 12,          -1.0 / 720,      1.0 / 30240,
                                -1.0 / 1209600,    1.0 / 47900160,  -691.0 / 1307674368000.0,
                                1.0 / 74724249600.0};
    double out = 0;
    for (; q < 10 + s; q += 1) out += pow(q, -s);
    double series = 1 / (s - 1) + 0.5 / q, rising = s / (q * q);
#pragma unroll
    for (int k = 0; k < 7; k++) {
        series += bernoulli[k] * rising;
        rising *= (s + (2 * k + 1)) * (s + (2 * k + 2)) / (q * q);
    }
    return out + pow(q, 1 - s) * series;
}

// Below 0 its terms lie on both sides of 0: those above it are a zeta function, and those below are
// one too, less what would follow them.
__device__ __forceinline__ double zeta(int s, double q) {
    if (q > 0) return zeta_above_zero(s, q);
    if (q == floor(q)) return __longlong_as_double(0x7ff0000000000000LL);  // a pole
    double below = zeta_above_zero(s, ceil(q) - q) - zeta_above_zero(s, 1 - q);
    return zeta_above_zero(s, q - floor(q)) + (s & 1 ? -below : below);
}

// The derivative of order n + 1 of the logarithm of gamma.
template <class T> __device__ __forceinline__ T polygamma(T x, int n) {
    if (!n) return T(digamma((double)x));
    double out = n & 1 ? 1 : -1;
    for (int k = 2; k <= n; k++) out *= k;
    return T(out * zeta(n + 1, (double)x));
}
