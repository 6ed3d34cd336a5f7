/* The largest code of each window, channel by channel; what lies outside the image never wins. */
static void max_pool2d(const int8_t *input, int8_t *output)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            for (int32_t channel = 0; channel < CHANNELS; ++channel) {
                int8_t largest = -128;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t row = y * STRIDE_Y - PADDING_TOP + i;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t column = x * STRIDE_X - PADDING_LEFT + j;
                        if (row >= 0 && row < INPUT_HEIGHT && column >= 0 && column < INPUT_WIDTH) {
                            const int8_t code = input[(row * INPUT_WIDTH + column) * CHANNELS + channel];
                            largest = code > largest ? code : largest;
                        }
                    }
                }
                *output++ = largest;
            }
        }
    }
}
