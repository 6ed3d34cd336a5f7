/* Each row times a matrix, the result no longer than the row, which it overwrites; the zero point is in the bias. */
static void linear_in_place(int8_t *rows, int8_t *copy, const int8_t *weights, const channel_t *channels)
{
    int8_t *output = rows;
    for (int32_t row = 0; row < ROWS; ++row) {
        const int8_t *weight = weights;
        for (int32_t k = 0; k < INPUTS; ++k) {
            copy[k] = rows[row * INPUTS + k];
        }
        for (int32_t out = 0; out < OUTPUTS; ++out) {
            int32_t sum = channels[out].bias;
            for (int32_t k = 0; k < INPUTS; ++k) {
                sum += copy[k] * weight[k];
            }
            weight += INPUTS;
            *output++ = rescale(sum, &channels[out], ZERO_POINT, LOWEST, HIGHEST);
        }
    }
}
