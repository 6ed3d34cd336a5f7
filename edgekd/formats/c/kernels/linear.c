/* Each row times a matrix; the input's zero point is in the bias. */
static void linear(const int8_t *input, int8_t *output, const int8_t *weights, const channel_t *channels)
{
    for (int32_t row = 0; row < ROWS; ++row) {
        const int8_t *weight = weights;
        for (int32_t out = 0; out < OUTPUTS; ++out) {
            int32_t sum = channels[out].bias;
            for (int32_t k = 0; k < INPUTS; ++k) {
                sum += input[k] * weight[k];
            }
            weight += INPUTS;
            *output++ = rescale(sum, &channels[out], ZERO_POINT, LOWEST, HIGHEST);
        }
        input += INPUTS;
    }
}
