/* The mean over some axes: of each value that is kept, the sum over all that are not. */
static void mean(const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < KEPT_0; ++i) {
        for (int32_t j = 0; j < KEPT_1; ++j) {
            const int8_t *first = input + i * KEPT_STEP_0 + j * KEPT_STEP_1;
            int32_t sum = 0;
            for (int32_t k = 0; k < REDUCED_0; ++k) {
                for (int32_t l = 0; l < REDUCED_1; ++l) {
                    sum += first[k * REDUCED_STEP_0 + l * REDUCED_STEP_1];
                }
            }
            *output++ = scale(sum - OFFSET);
        }
    }
}
