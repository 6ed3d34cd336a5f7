/* A whole number to a code, rounded once. */
static int8_t scale_once(int32_t value)
{
    return saturate_steps((float)value * FACTOR, ZERO_POINT, LOWEST, HIGHEST);
}
