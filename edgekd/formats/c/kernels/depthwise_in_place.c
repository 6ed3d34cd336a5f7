/* A convolution of each channel by itself that overwrites its input: a channel is gathered in a plane beside it. */
static void depthwise_in_place(int8_t *image, int8_t *plane, const int8_t *weights, const channel_t *channels)
{
    for (int32_t channel = 0; channel < CHANNELS; ++channel) {
        for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
            for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
                int32_t sum = channels[channel].bias;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t row = y * STRIDE_Y - PADDING_TOP + i * DILATION_Y;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t column = x * STRIDE_X - PADDING_LEFT + j * DILATION_X;
                        if (row >= 0 && row < INPUT_HEIGHT && column >= 0 && column < INPUT_WIDTH) {
                            sum += (image[(row * INPUT_WIDTH + column) * CHANNELS + channel] - INPUT_ZERO_POINT)
                                * weights[(i * KERNEL_WIDTH + j) * CHANNELS + channel];
                        }
                    }
                }
                plane[y * OUTPUT_WIDTH + x] = rescale(sum, &channels[channel], ZERO_POINT, LOWEST, HIGHEST);
            }
        }
        for (int32_t pixel = 0; pixel < OUTPUT_HEIGHT * OUTPUT_WIDTH; ++pixel) {
            image[pixel * CHANNELS + channel] = plane[pixel];
        }
    }
}
