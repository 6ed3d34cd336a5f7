/* A convolution of an image; taps outside the image count nothing. */
static void conv2d(const int8_t *input, int8_t *output, const int8_t *weights, const channel_t *channels)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            const int8_t *weight = weights;
            for (int32_t out = 0; out < OUTPUT_CHANNELS; ++out) {
                const int32_t first = out / (OUTPUT_CHANNELS / GROUPS) * GROUP_CHANNELS;
                int32_t sum = channels[out].bias;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t row = y * STRIDE_Y - PADDING_TOP + i * DILATION_Y;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t column = x * STRIDE_X - PADDING_LEFT + j * DILATION_X;
                        if (row >= 0 && row < INPUT_HEIGHT && column >= 0 && column < INPUT_WIDTH) {
                            const int8_t *pixel = input + (row * INPUT_WIDTH + column) * INPUT_CHANNELS + first;
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
