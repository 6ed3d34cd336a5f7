/* The product of two codes. */
static int8_t product(int32_t a, int32_t b)
{
    return scale((a - FIRST_ZERO_POINT) * (b - SECOND_ZERO_POINT));
}
