/* Bilinear resizing: four pixels, weighed by how near they are. */
static void resize(const int8_t *input, int8_t *output, const tap_t *rows, const tap_t *columns)
{
    for (int32_t y = 0; y < OUTPUT_HEIGHT; ++y) {
        for (int32_t x = 0; x < OUTPUT_WIDTH; ++x) {
            const tap_t row = rows[y];
            const tap_t column = columns[x];
            for (int32_t channel = 0; channel < CHANNELS; ++channel) {
                const int8_t *top = input + row.low * WIDTH * CHANNELS + channel;
                const int8_t *bottom = input + row.high * WIDTH * CHANNELS + channel;
                const int32_t above
                    = top[column.low * CHANNELS] * column.low_weight + top[column.high * CHANNELS] * column.high_weight;
                const int32_t below = bottom[column.low * CHANNELS] * column.low_weight
                    + bottom[column.high * CHANNELS] * column.high_weight;
                *output++ = saturate(round_blend(above * row.low_weight + below * row.high_weight), -128, 127);
            }
        }
    }
}
