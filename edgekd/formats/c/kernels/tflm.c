/* A channel of an operator with weights: multiplier * 2^(exponent - 31) takes its sums to codes. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t exponent;
} channel_t;

/* A sum to a code. */
static int8_t rescale(int32_t sum, const channel_t *channel, int32_t zero_point, int32_t lowest, int32_t highest)
{
    return saturate(round_twice(sum, channel->multiplier, channel->exponent) + zero_point, lowest, highest);
}

/* A sum that is weighed by two fractions of 10 bits, half away from zero. */
static int32_t round_blend(int32_t sum)
{
    return rounding_shift(sum, 20);
}

/* A real value to whole steps, half away from zero; the value is clamped first, so that it fits an integer. */
static int8_t quantize(float value, float scale, int32_t zero_point)
{
    const float steps = value / scale;
    const float size = steps < 0.0f ? -steps : steps;
    const float clamped = size > 512.0f ? 512.0f : size;
    int32_t whole = (int32_t)clamped;
    if (clamped - (float)whole >= 0.5f) {
        ++whole;
    }
    return saturate((steps < 0.0f ? -whole : whole) + zero_point, -128, 127);
}

/* A sum over its count. */
static float mean_of(float sum, float count)
{
    return sum / count;
}
