/* value / 2^by, rounded down: the standard leaves the right shift of negative numbers open, compilers make it one. */
static int32_t shift_right(int32_t value, int32_t by)
{
    return value < 0 ? ~(~value >> by) : value >> by;
}

/* The 32 bits of an unsigned number as a signed one: what overflows wraps around. */
static int32_t wrapped(uint32_t bits)
{
    return bits <= (uint32_t)INT32_MAX ? (int32_t)bits : (int32_t)(bits - (uint32_t)INT32_MAX - 1u) + INT32_MIN;
}

/* a * b / 2^31, rounded half up (gemmlowp's SaturatingRoundingDoublingHighMul). */
static int32_t high_product(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b + ((int64_t)1 << 30);
    return (int32_t)(product < 0 ? ~(~product >> 31) : product >> 31);
}

/* value / 2^by, rounded half away from zero (gemmlowp's RoundingDivideByPOT); by is 31 at most. */
static int32_t rounding_shift(int32_t value, int32_t by)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << by) - 1u);
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
    return shift_right(value, by) + ((value & mask) > threshold ? 1 : 0);
}

/* value * multiplier * 2^(exponent - 31) as TFLite Micro rounds it: the product first, then the shift to the right. */
static int32_t round_twice(int32_t value, int32_t multiplier, int32_t exponent)
{
    if (exponent > 0) {
        return high_product(wrapped((uint32_t)value << exponent), multiplier);
    }
    return rounding_shift(high_product(value, multiplier), -exponent);
}

/* A whole number to a code. */
static int8_t saturate(int32_t value, int32_t lowest, int32_t highest)
{
    if (value < lowest) {
        return (int8_t)lowest;
    }
    return (int8_t)(value > highest ? highest : value);
}

/* To the nearest whole number, half to even: adding 1.5 * 2^23 pushes the fraction out of a float32. */
static int32_t round_half_even(float value)
{
    union { float real; int32_t bits; } shifted;
    shifted.real = value + 12582912.0f;
    return shifted.bits - 0x4B400000;
}

/* steps + zero_point as a code; the steps are clamped first, so that they fit an integer. */
static int8_t saturate_steps(float steps, int32_t zero_point, int32_t lowest, int32_t highest)
{
    const float low = (float)(lowest - zero_point);
    const float high = (float)(highest - zero_point);
    const float clamped = steps < low ? low : (steps > high ? high : steps);
    return (int8_t)(round_half_even(clamped) + zero_point);
}

/* 2 / (1 + x) in units of 2^-29, of x in [0, 1] in units of 2^-31: Newton and Raphson's division. */
static int32_t two_over_one_plus(int32_t x)
{
    const int32_t half_denominator = (x >> 1) + (1 << 30);
    int32_t guess = 1515870810 + high_product(half_denominator, -1010580540);
    for (int32_t i = 0; i < 3; ++i) {
        const int32_t error = (1 << 29) - high_product(half_denominator, guess);
        guess += high_product(guess, error) * 4;
    }
    return guess;
}

/* The square root of a positive, normal number, correctly rounded, by integers: no library is needed. */
static float square_root(float value)
{
    union { float real; uint32_t bits; } number;
    uint32_t exponent;
    uint64_t rest;
    uint64_t root = 0;
    number.real = value;
    exponent = number.bits >> 23;
    rest = (uint64_t)((number.bits & 0x7FFFFFu) | 0x800000u) << ((exponent & 1u) != 0u ? 25 : 26);
    for (uint64_t bit = (uint64_t)1 << 50; bit != 0; bit >>= 2) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    root = (root >> 1) + ((root & 1u) != 0u ? 1u : 0u);
    number.bits = (((exponent + 127u) >> 1) << 23) + (uint32_t)(root - 0x800000u);
    return number.real;
}

/* A position after resizing: the two before it, and how much each weighs. */
typedef struct {
    int32_t low;
    int32_t high;
    int32_t low_weight;
    int32_t high_weight;
} tap_t;
