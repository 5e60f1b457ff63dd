// Mathematics of CUDA: the functions of glibc, under the names and for the types that CUDA has.
//
// float and double only, as NVRTC has it: exp(3) is ambiguous there and therefore here. The fast ones
// (`__expf`, ...) are as exact as the others here; their error has to be shown on a GPU.
#pragma once

#include "keywords.hpp"

#define TAPEGRAD_UNARY(name)                                                                      \
    static inline float name##f(float x) { return __builtin_##name##f(x); }                       \
    static inline float name(float x) { return __builtin_##name##f(x); }                          \
    static inline double name(double x) { return __builtin_##name(x); }
#define TAPEGRAD_BINARY(name)                                                                     \
    static inline float name##f(float x, float y) { return __builtin_##name##f(x, y); }           \
    static inline float name(float x, float y) { return __builtin_##name##f(x, y); }              \
    static inline double name(double x, double y) { return __builtin_##name(x, y); }

TAPEGRAD_UNARY(acos)
TAPEGRAD_UNARY(acosh)
TAPEGRAD_UNARY(asin)
TAPEGRAD_UNARY(asinh)
TAPEGRAD_UNARY(atan)
TAPEGRAD_UNARY(atanh)
TAPEGRAD_UNARY(cbrt)
TAPEGRAD_UNARY(ceil)
TAPEGRAD_UNARY(cos)
TAPEGRAD_UNARY(cosh)
TAPEGRAD_UNARY(erf)
TAPEGRAD_UNARY(erfc)
TAPEGRAD_UNARY(exp)
TAPEGRAD_UNARY(exp10)
TAPEGRAD_UNARY(exp2)
TAPEGRAD_UNARY(expm1)
TAPEGRAD_UNARY(fabs)
TAPEGRAD_UNARY(floor)
TAPEGRAD_UNARY(j0)
TAPEGRAD_UNARY(j1)
TAPEGRAD_UNARY(lgamma)
TAPEGRAD_UNARY(log)
TAPEGRAD_UNARY(log10)
TAPEGRAD_UNARY(log1p)
TAPEGRAD_UNARY(log2)
TAPEGRAD_UNARY(logb)
TAPEGRAD_UNARY(nearbyint)
TAPEGRAD_UNARY(rint)
TAPEGRAD_UNARY(round)
TAPEGRAD_UNARY(sin)
TAPEGRAD_UNARY(sinh)
TAPEGRAD_UNARY(sqrt)
TAPEGRAD_UNARY(tan)
TAPEGRAD_UNARY(tanh)
TAPEGRAD_UNARY(tgamma)
TAPEGRAD_UNARY(trunc)
TAPEGRAD_UNARY(y0)
TAPEGRAD_UNARY(y1)
TAPEGRAD_BINARY(atan2)
TAPEGRAD_BINARY(copysign)
TAPEGRAD_BINARY(fdim)
TAPEGRAD_BINARY(fmax)
TAPEGRAD_BINARY(fmin)
TAPEGRAD_BINARY(fmod)
TAPEGRAD_BINARY(hypot)
TAPEGRAD_BINARY(nextafter)
TAPEGRAD_BINARY(pow)
TAPEGRAD_BINARY(remainder)
#undef TAPEGRAD_UNARY
#undef TAPEGRAD_BINARY

static inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
static inline float powf(float x, int n) { return __builtin_powf(x, (float)n); }
static inline float pow(float x, int n) { return __builtin_powf(x, (float)n); }
static inline float ldexpf(float x, int e) { return __builtin_ldexpf(x, e); }
static inline float ldexp(float x, int e) { return __builtin_ldexpf(x, e); }
static inline double ldexp(double x, int e) { return __builtin_ldexp(x, e); }
static inline float frexpf(float x, int* e) { return __builtin_frexpf(x, e); }
static inline float frexp(float x, int* e) { return __builtin_frexpf(x, e); }
static inline double frexp(double x, int* e) { return __builtin_frexp(x, e); }
static inline float modff(float x, float* whole) { return __builtin_modff(x, whole); }
static inline float modf(float x, float* whole) { return __builtin_modff(x, whole); }
static inline double modf(double x, double* whole) { return __builtin_modf(x, whole); }
static inline int ilogbf(float x) { return __builtin_ilogbf(x); }
static inline int ilogb(double x) { return __builtin_ilogb(x); }
static inline long lrintf(float x) { return __builtin_lrintf(x); }
static inline long lrint(double x) { return __builtin_lrint(x); }
static inline long long llrintf(float x) { return __builtin_llrintf(x); }
static inline long long llrint(double x) { return __builtin_llrint(x); }
static inline long lroundf(float x) { return __builtin_lroundf(x); }
static inline long lround(double x) { return __builtin_lround(x); }
static inline long long llroundf(float x) { return __builtin_llroundf(x); }
static inline long long llround(double x) { return __builtin_llround(x); }
static inline void sincosf(float x, float* s, float* c) { __builtin_sincosf(x, s, c); }
static inline void sincos(double x, double* s, double* c) { __builtin_sincos(x, s, c); }

static inline float rsqrtf(float x) { return 1 / __builtin_sqrtf(x); }
static inline float rsqrt(float x) { return 1 / __builtin_sqrtf(x); }
static inline double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
static inline float rcbrtf(float x) { return 1 / __builtin_cbrtf(x); }
static inline float rcbrt(float x) { return 1 / __builtin_cbrtf(x); }
static inline double rcbrt(double x) { return 1 / __builtin_cbrt(x); }
static inline float nanf(const char*) { return __builtin_nanf(""); }
static inline double nan(const char*) { return __builtin_nan(""); }
static inline float norm3df(float x, float y, float z) {
    return __builtin_hypotf(__builtin_hypotf(x, y), z);
}
static inline double norm3d(double x, double y, double z) {
    return __builtin_hypot(__builtin_hypot(x, y), z);
}
static inline float rnorm3df(float x, float y, float z) { return 1 / norm3df(x, y, z); }
static inline double rnorm3d(double x, double y, double z) { return 1 / norm3d(x, y, z); }
static inline float rhypotf(float x, float y) { return 1 / __builtin_hypotf(x, y); }
static inline double rhypot(double x, double y) { return 1 / __builtin_hypot(x, y); }
static inline double sinpi(double x) {
    double r = __builtin_remainder(x, 2);  // exact, in [-1, 1]
    if (r > 0.5) r = 1 - r;
    if (r < -0.5) r = -1 - r;
    return __builtin_sin(r * 3.14159265358979323846);
}
static inline double cospi(double x) {
    double r = __builtin_fabs(__builtin_remainder(x, 2));
    return r > 0.25 && r < 0.75 ? sinpi(0.5 - r) : __builtin_cos(r * 3.14159265358979323846);
}
static inline float sinpif(float x) { return (float)sinpi((double)x); }
static inline float sinpi(float x) { return (float)sinpi((double)x); }
static inline float cospif(float x) { return (float)cospi((double)x); }
static inline float cospi(float x) { return (float)cospi((double)x); }
static inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
static inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }

static inline bool isnan(float x) { return __builtin_isnan(x); }
static inline bool isnan(double x) { return __builtin_isnan(x); }
static inline bool isinf(float x) { return __builtin_isinf(x); }
static inline bool isinf(double x) { return __builtin_isinf(x); }
static inline bool isfinite(float x) { return __builtin_isfinite(x); }
static inline bool isfinite(double x) { return __builtin_isfinite(x); }
static inline bool signbit(float x) { return __builtin_signbit(x); }
static inline bool signbit(double x) { return __builtin_signbit(x); }

static inline int abs(int x) { return x < 0 ? -x : x; }
static inline long abs(long x) { return x < 0 ? -x : x; }
static inline long long abs(long long x) { return x < 0 ? -x : x; }
static inline float abs(float x) { return __builtin_fabsf(x); }
static inline double abs(double x) { return __builtin_fabs(x); }
static inline long labs(long x) { return x < 0 ? -x : x; }
static inline long long llabs(long long x) { return x < 0 ? -x : x; }

// min and max of one type; of mixed types as CUDA has them. Of NaN and a number, the number.
#define TAPEGRAD_EXTREMA(a, b, type)                                                              \
    static inline type min(a x, b y) { return (type)y < (type)x ? (type)y : (type)x; }            \
    static inline type max(a x, b y) { return (type)x < (type)y ? (type)y : (type)x; }
TAPEGRAD_EXTREMA(int, int, int)
TAPEGRAD_EXTREMA(unsigned, unsigned, unsigned)
TAPEGRAD_EXTREMA(int, unsigned, unsigned)
TAPEGRAD_EXTREMA(unsigned, int, unsigned)
TAPEGRAD_EXTREMA(long, long, long)
TAPEGRAD_EXTREMA(unsigned long, unsigned long, unsigned long)
TAPEGRAD_EXTREMA(long, unsigned long, unsigned long)
TAPEGRAD_EXTREMA(unsigned long, long, unsigned long)
TAPEGRAD_EXTREMA(long long, long long, long long)
TAPEGRAD_EXTREMA(unsigned long long, unsigned long long, unsigned long long)
TAPEGRAD_EXTREMA(long long, unsigned long long, unsigned long long)
TAPEGRAD_EXTREMA(unsigned long long, long long, unsigned long long)
#undef TAPEGRAD_EXTREMA
static inline float min(float x, float y) { return __builtin_fminf(x, y); }
static inline float max(float x, float y) { return __builtin_fmaxf(x, y); }
static inline double min(double x, double y) { return __builtin_fmin(x, y); }
static inline double max(double x, double y) { return __builtin_fmax(x, y); }
static inline double min(float x, double y) { return __builtin_fmin(x, y); }
static inline double max(float x, double y) { return __builtin_fmax(x, y); }
static inline double min(double x, float y) { return __builtin_fmin(x, y); }
static inline double max(double x, float y) { return __builtin_fmax(x, y); }

// What CUDA has and glibc has not; runtime.cpp defines them.
namespace emulator {
double inverse_error_function(double x);
double inverse_normal(double p);
double scaled_erfc(double x);
double bessel_i0(double x);
double bessel_i1(double x);
}  // namespace emulator
static inline double erfinv(double x) { return emulator::inverse_error_function(x); }
static inline double normcdfinv(double p) { return emulator::inverse_normal(p); }
static inline double erfcinv(double x) {
    return -emulator::inverse_normal(x / 2) * 0.70710678118654752440;
}
static inline double normcdf(double x) {
    return __builtin_erfc(-x * 0.70710678118654752440) / 2;
}
static inline double erfcx(double x) { return emulator::scaled_erfc(x); }
static inline double cyl_bessel_i0(double x) { return emulator::bessel_i0(x); }
static inline double cyl_bessel_i1(double x) { return emulator::bessel_i1(x); }
#define TAPEGRAD_THROUGH_DOUBLE(name)                                                             \
    static inline float name##f(float x) { return (float)name((double)x); }                       \
    static inline float name(float x) { return (float)name((double)x); }
TAPEGRAD_THROUGH_DOUBLE(erfinv)
TAPEGRAD_THROUGH_DOUBLE(erfcinv)
TAPEGRAD_THROUGH_DOUBLE(erfcx)
TAPEGRAD_THROUGH_DOUBLE(normcdf)
TAPEGRAD_THROUGH_DOUBLE(normcdfinv)
TAPEGRAD_THROUGH_DOUBLE(cyl_bessel_i0)
TAPEGRAD_THROUGH_DOUBLE(cyl_bessel_i1)
#undef TAPEGRAD_THROUGH_DOUBLE

static inline float __expf(float x) { return __builtin_expf(x); }
static inline float __exp10f(float x) { return __builtin_exp10f(x); }
static inline float __logf(float x) { return __builtin_logf(x); }
static inline float __log2f(float x) { return __builtin_log2f(x); }
static inline float __log10f(float x) { return __builtin_log10f(x); }
static inline float __powf(float x, float y) { return __builtin_powf(x, y); }
static inline float __sinf(float x) { return __builtin_sinf(x); }
static inline float __cosf(float x) { return __builtin_cosf(x); }
static inline float __tanhf(float x) { return __builtin_tanhf(x); }
static inline float __tanf(float x) { return __builtin_tanf(x); }
static inline void __sincosf(float x, float* s, float* c) { __builtin_sincosf(x, s, c); }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float fdividef(float x, float y) { return x / y; }
static inline float __saturatef(float x) { return __builtin_fminf(__builtin_fmaxf(x, 0), 1); }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
static inline float __frsqrt_rn(float x) { return 1 / __builtin_sqrtf(x); }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fsub_rn(float x, float y) { return x - y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline double __dadd_rn(double x, double y) { return x + y; }
static inline double __dsub_rn(double x, double y) { return x - y; }
static inline double __dmul_rn(double x, double y) { return x * y; }
static inline double __ddiv_rn(double x, double y) { return x / y; }
static inline double __dsqrt_rn(double x) { return __builtin_sqrt(x); }
static inline double __fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }

