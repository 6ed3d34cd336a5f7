/* The code a where it stands for a positive value, else times the slope b. */
static int8_t prelu(int32_t a, int32_t b)
{
    const int32_t value = a - FIRST_ZERO_POINT;
    const int32_t above = round_twice(value, MULTIPLIER, EXPONENT);
    const int32_t below = round_twice(value * b, SLOPE_MULTIPLIER, SLOPE_EXPONENT);
    return saturate((value >= 0 ? above : below) + ZERO_POINT, -128, 127);
}
