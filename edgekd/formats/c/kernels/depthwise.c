/* A convolution of each channel by itself; the weights of a tap lie side by side. */
static void depthwise(const int8_t *input, int8_t *output, const int8_t *weights, const channel_t *channels)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            for (int32_t out = 0; out < OUTPUT_CHANNELS; ++out) {
                int32_t sum = channels[out].bias;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t row = y * STRIDE_Y - PADDING_TOP + i * DILATION_Y;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t column = x * STRIDE_X - PADDING_LEFT + j * DILATION_X;
                        if (row >= 0 && row < INPUT_HEIGHT && column >= 0 && column < INPUT_WIDTH) {
                            const int32_t pixel = (row * INPUT_WIDTH + column) * INPUT_CHANNELS;
                            sum += (input[pixel + out / MULTIPLIER] - INPUT_ZERO_POINT)
                                * weights[(i * KERNEL_WIDTH + j) * OUTPUT_CHANNELS + out];
                        }
                    }
                }
                *output++ = rescale(sum, &channels[out], ZERO_POINT, LOWEST, HIGHEST);
            }
        }
    }
}
