/* Products of matrices, each pair by itself. */
static void matmul(const int8_t *first, const int8_t *second, int8_t *output)
{
    for (int32_t i = 0; i < BATCH_0; ++i) {
        for (int32_t j = 0; j < BATCH_1; ++j) {
            for (int32_t row = 0; row < ROWS; ++row) {
                for (int32_t column = 0; column < COLUMNS; ++column) {
                    const int8_t *a = first + i * FIRST_0 + j * FIRST_1 + row * FIRST_ROW;
                    const int8_t *b = second + i * SECOND_0 + j * SECOND_1 + column * SECOND_COLUMN;
                    int32_t sum = 0;
                    for (int32_t k = 0; k < INNER; ++k) {
                        sum += (a[k * FIRST_INNER] - FIRST_ZERO_POINT) * (b[k * SECOND_INNER] - SECOND_ZERO_POINT);
                    }
                    *output++ = scale(sum);
                }
            }
        }
    }
}
