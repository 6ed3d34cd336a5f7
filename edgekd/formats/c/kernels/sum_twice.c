/* The sum or difference of two codes: both to one scale in fixed point, then to the output's. */
static int8_t sum_twice(int32_t a, int32_t b)
{
    const int32_t first = round_twice((a - FIRST_ZERO_POINT) * (1 << 20), FIRST_MULTIPLIER, FIRST_EXPONENT);
    const int32_t second = round_twice((b - SECOND_ZERO_POINT) * (1 << 20), SECOND_MULTIPLIER, SECOND_EXPONENT);
    const int32_t sum = round_twice(first + SIGN * second, MULTIPLIER, EXPONENT);
    return saturate(sum + ZERO_POINT, LOWEST, HIGHEST);
}
