/* A channel of an operator with weights: the multiplier takes its sums to codes. */
typedef struct {
    int32_t bias;
    float multiplier;
} channel_t;

/* A sum to a code. */
static int8_t rescale(int32_t sum, const channel_t *channel, int32_t zero_point, int32_t lowest, int32_t highest)
{
    return saturate_steps((float)sum * channel->multiplier, zero_point, lowest, highest);
}

/* A sum that is weighed by two fractions of 11 bits, half up. */
static int32_t round_blend(int32_t sum)
{
    return shift_right(sum + (1 << 21), 22);
}

/* A real value to whole steps, by the inverse of the scale, half to even. */
static int8_t quantize(float value, float scale, int32_t zero_point)
{
    return saturate_steps(value * (1.0f / scale), zero_point, -128, 127);
}

/* A sum over its count, by the inverse of it. */
static float mean_of(float sum, float count)
{
    return sum * (1.0f / count);
}
