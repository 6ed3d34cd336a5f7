/* A convolution of an image that overwrites it row by row: the rows that are still to be read are kept beside it. */
static void conv2d_in_place(int8_t *image, int8_t *kept, const int8_t *weights, const channel_t *channels)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        int8_t *output = image + y * OUTPUT_WIDTH * OUTPUT_CHANNELS;
        for (int32_t k = 0; k < INPUT_WIDTH * INPUT_CHANNELS; ++k) {
            kept[y % KEPT_ROWS * INPUT_WIDTH * INPUT_CHANNELS + k] = image[y * INPUT_WIDTH * INPUT_CHANNELS + k];
        }
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            const int8_t *weight = weights;
            for (int32_t out = 0; out < OUTPUT_CHANNELS; ++out) {
                const int32_t first = out / (OUTPUT_CHANNELS / GROUPS) * GROUP_CHANNELS;
                int32_t sum = channels[out].bias;
                for (int32_t i = 0; i < KERNEL_HEIGHT; ++i) {
                    const int32_t row = y - PADDING_TOP + i * DILATION_Y;
                    for (int32_t j = 0; j < KERNEL_WIDTH; ++j) {
                        const int32_t column = x * STRIDE_X - PADDING_LEFT + j * DILATION_X;
                        if (row >= 0 && row < INPUT_HEIGHT && column >= 0 && column < INPUT_WIDTH) {
                            const int8_t *rows = row > y ? image : kept;
                            const int32_t place = (row > y ? row : row % KEPT_ROWS) * INPUT_WIDTH + column;
                            const int8_t *pixel = rows + place * INPUT_CHANNELS + first;
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
