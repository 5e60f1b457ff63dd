// What the expressions of pointwise gates call beyond CUDA's own mathematics.
//
// Each function is a gate's forward in another language, for the types a gate computes in: float,
// double, whole numbers and bool. Infinities, NaN and kinks come out as NumPy has them. What needs
// series is in `special.cuh`.
#pragma once

template <class T> constexpr bool is_real = false;
template <> constexpr bool is_real<float> = true;
template <> constexpr bool is_real<double> = true;
template <class T> constexpr bool is_signed = T(-1) < T(0);

// Whether a signed division would overflow: the least number over -1 wraps around to itself.
template <class T> __device__ __forceinline__ bool is_minus_one(T y) {
    return is_signed<T> && y == T(-1);
}

// ---- Choices -----------------------------------------------------------------------------------

// The larger and the smaller of two; NaN if either is.
template <class T> __device__ __forceinline__ T maximum(T x, T y) {
    return x > y || x != x ? x : y;
}
template <class T> __device__ __forceinline__ T minimum(T x, T y) {
    return x < y || x != x ? x : y;
}
template <class T> __device__ __forceinline__ T clip(T x, T least, T most) {
    return minimum(maximum(x, least), most);
}

template <class T> __device__ __forceinline__ T absolute(T x) {
    if constexpr (is_real<T>) return fabs(x);
    else return x < T(0) ? T(-x) : x;
}

template <class T> __device__ __forceinline__ bool sign_bit(T x) {
    if constexpr (is_real<T>) return copysign(T(1), x) < T(0);  // of -0.0 and NaN too
    else return x < T(0);
}

// Whole numbers are compared in double precision.
template <class T, class Tolerance>
__device__ __forceinline__ bool is_close(T x, T y, Tolerance rtol, Tolerance atol, bool equal_nan) {
    using C = decltype(x * Tolerance(0));
    C size = fabs(C(y));
    bool near = fabs(C(x) - C(y)) <= size * rtol + atol && size - size == C(0);
    return near || x == y || (equal_nan && x != x && y != y);
}

// ---- Powers and exponentials -------------------------------------------------------------------

// Whole numbers wrap around; their powers below zero are rounded to 0, but for the bases 1 and -1.
template <class T> __device__ __forceinline__ T raise_to(T x, T y) {
    if constexpr (is_real<T>) {
        return pow(x, y);
    } else {
        bool odd = y & 1;
        if (y < T(0)) return x == T(1) || is_minus_one(x) ? (odd ? x : T(1)) : T(0);
        unsigned long long out = 1, base = x, left = y;
        for (; left; left >>= 1, base *= base)
            if (left & 1) out *= base;
        return T(out);
    }
}

// x times 2 to a whole power of any type; beyond 4000 there is 0 and infinity only.
template <class T, class P> __device__ __forceinline__ T scale_by_power(T x, P power) {
    int within = power > P(0) && (unsigned long long)power > 4000 ? 4000
                 : (long long)power < -4000                       ? -4000
                                                                  : (int)power;
    return ldexp(x, within);
}

// log(exp(x) + exp(y)) and log2(2^x + 2^y); of two infinities alike, themselves.
template <class T> __device__ __forceinline__ T log_add_exp(T x, T y) {
    return x == y ? x + T(0.6931471805599453) : fmax(x, y) + log1p(exp(-fabs(x - y)));
}
template <class T> __device__ __forceinline__ T log_add_exp2(T x, T y) {
    const T log2_e = T(1.4426950408889634);
    return x == y ? x + T(1) : fmax(x, y) + log2_e * log1p(exp2(-fabs(x - y)));
}

// log(1 + exp(beta x)) / beta, x itself from a threshold on: exp of what is not above 0 alone.
template <class T> __device__ __forceinline__ T softplus(T x, T beta, T threshold) {
    T scaled = beta * x;
    T out = (fmax(scaled, T(0)) + log1p(exp(-fabs(scaled)))) / beta;
    return scaled > threshold ? x : out;
}

// x tanh(log(1 + exp(x))), with tanh(log(1 + e)) = n / (n + 2) for n = e (e + 2).
template <class T> __device__ __forceinline__ T mish(T x) {
    T power = exp(fmin(x, T(20)));  // from there on the quotient is 1 in any precision
    T odds = power * (power + T(2));
    return x * (odds / (odds + T(2)));
}

// ---- Quotients and remainders ------------------------------------------------------------------

// The remainder with the sign of y, as Python has it; of whole numbers over 0, 0.
template <class T> __device__ __forceinline__ T floor_remainder(T x, T y) {
    if constexpr (is_real<T>) {
        T rest = fmod(x, y);
        if (y == T(0)) return rest;  // NaN
        if (rest == T(0)) return copysign(T(0), y);
        return (y < T(0)) != (rest < T(0)) ? rest + y : rest;
    } else {
        if (y == T(0) || is_minus_one(y)) return T(0);
        T rest = x % y;
        return rest && (rest < T(0)) != (y < T(0)) ? T(rest + y) : rest;
    }
}

// The quotient that goes with it, so that x = y quotient + remainder also where x / y rounds.
template <class T> __device__ __forceinline__ T floor_divide(T x, T y) {
    if constexpr (is_real<T>) {
        if (y == T(0)) return x / y;
        T rest = fmod(x, y);
        T quotient = (x - rest) / y;
        if (rest != T(0) && (y < T(0)) != (rest < T(0))) quotient -= T(1);
        if (quotient == T(0)) return copysign(T(0), x / y);
        T below = floor(quotient);
        return quotient - below > T(0.5) ? below + T(1) : below;
    } else {
        if (y == T(0)) return T(0);
        if (is_minus_one(y)) return T(0ull - (unsigned long long)x);
        T quotient = x / y;
        return x % y != T(0) && (x < T(0)) != (y < T(0)) ? T(quotient - T(1)) : quotient;
    }
}

// The remainder with the sign of x and the quotient rounded towards 0, as C has them.
template <class T> __device__ __forceinline__ T trunc_remainder(T x, T y) {
    if constexpr (is_real<T>) return fmod(x, y);
    else return y == T(0) || is_minus_one(y) ? T(0) : T(x % y);
}
template <class T> __device__ __forceinline__ T trunc_divide(T x, T y) {
    if constexpr (is_real<T>) return trunc(x / y);
    else if (y == T(0)) return T(0);
    else if (is_minus_one(y)) return T(0ull - (unsigned long long)x);
    else return T(x / y);
}

// ---- Bits and divisors of whole numbers --------------------------------------------------------

// A shift by the width or more, or by less than 0, leaves 0, or the sign if it is to the right.
template <class T> __device__ __forceinline__ T left_shift(T x, T y) {
    bool within = y >= T(0) && (unsigned long long)y < 8 * sizeof(T);
    return within ? T((unsigned long long)x << y) : T(0);
}
template <class T> __device__ __forceinline__ T right_shift(T x, T y) {
    bool within = y >= T(0) && (unsigned long long)y < 8 * sizeof(T);
    return within ? T(x >> y) : x < T(0) ? T(-1) : T(0);
}

template <class T> __device__ __forceinline__ unsigned long long magnitude(T x) {
    return x < T(0) ? 0ull - (unsigned long long)x : (unsigned long long)x;
}
template <class T> __device__ __forceinline__ T gcd(T x, T y) {
    unsigned long long a = magnitude(x), b = magnitude(y);
    while (b) {
        unsigned long long rest = a % b;
        a = b;
        b = rest;
    }
    return T(a);
}
template <class T> __device__ __forceinline__ T lcm(T x, T y) {
    unsigned long long common = gcd(magnitude(x), magnitude(y));
    return common ? T(magnitude(x) / common * magnitude(y)) : T(0);
}
