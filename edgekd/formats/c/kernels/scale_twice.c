/* A whole number to a code, rounded twice. */
static int8_t scale_twice(int32_t value)
{
    return saturate(round_twice(value, MULTIPLIER, EXPONENT) + ZERO_POINT, LOWEST, HIGHEST);
}
