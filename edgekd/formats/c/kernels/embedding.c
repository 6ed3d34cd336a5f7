/* Rows of a table by their numbers; 1 where there is no such row, else 0. */
static int embedding(const int32_t *tokens, int8_t *output, const int8_t *rows)
{
    for (int32_t i = 0; i < COUNT; ++i) {
        if (tokens[i] < 0 || tokens[i] >= ROWS) {
            return 1;
        }
        for (int32_t k = 0; k < WIDTH; ++k) {
            *output++ = rows[tokens[i] * WIDTH + k];
        }
    }
    return 0;
}
