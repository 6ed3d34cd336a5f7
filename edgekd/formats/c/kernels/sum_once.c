/* The sum or difference of two codes, by multipliers of 21 bits, half up. */
static int8_t sum_once(int32_t a, int32_t b)
{
    const int32_t sum = (a - FIRST_ZERO_POINT) * FIRST_MULTIPLIER + SIGN * (b - SECOND_ZERO_POINT) * SECOND_MULTIPLIER;
    return saturate(shift_right(sum + (1 << (SHIFT - 1)), SHIFT) + ZERO_POINT, LOWEST, HIGHEST);
}
