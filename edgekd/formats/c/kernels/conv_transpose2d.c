/* A transposed convolution: each output value gathers the input pixels whose kernels reach it. */
static void conv_transpose2d(const int8_t *input, int8_t *output, const int8_t *weights, const channel_t *channels)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            const int8_t *weight = weights;
            for (int32_t out = 0; out < OUTPUT_CHANNELS; ++out) {
                const int32_t first = out / (OUTPUT_CHANNELS / GROUPS) * GROUP_CHANNELS;
                int32_t sum = channels[out].bias;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t down = y + PADDING_TOP - i;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t right = x + PADDING_LEFT - j;
                        if (down >= 0 && down % STRIDE_Y == 0 && down / STRIDE_Y < INPUT_HEIGHT
                            && right >= 0 && right % STRIDE_X == 0 && right / STRIDE_X < INPUT_WIDTH) {
                            const int32_t place = down / STRIDE_Y * INPUT_WIDTH + right / STRIDE_X;
                            const int8_t *pixel = input + place * INPUT_CHANNELS + first;
                            for (int32_t k = 0; k < GROUP_CHANNELS; ++k) {
                                sum += (pixel[k] - INPUT_ZERO_POINT) * weight[k];
                            }
                        }
                        weight += GROUP_CHANNELS;
                    }
                }
                *output++ = rescale(sum, &channels[out], ZERO_POINT, LOWEST, HIGHEST);
            }
        }
    }
}
