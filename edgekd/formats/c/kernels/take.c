/* The listed positions of an axis. */
static void take(const element_t *input, element_t *output, const int32_t *positions)
{
    for (int32_t i = 0; i < OUTER; ++i) {
        for (int32_t j = 0; j < COUNT; ++j) {
            const element_t *values = input + (i * LENGTH + positions[j]) * INNER;
            for (int32_t k = 0; k < INNER; ++k) {
                *output++ = values[k];
            }
        }
    }
}
