/* Value by value on two tensors; along an axis in which one of them is repeated, its step is 0. */
static void binary(const int8_t *first, const int8_t *second, int8_t *output)
{
    for (int32_t i = 0; i < SIZE_0; ++i) {
        for (int32_t j = 0; j < SIZE_1; ++j) {
            for (int32_t k = 0; k < SIZE_2; ++k) {
                for (int32_t l = 0; l < SIZE_3; ++l) {
                    *output++ = combine(first[i * FIRST_0 + j * FIRST_1 + k * FIRST_2 + l * FIRST_3],
                                        second[i * SECOND_0 + j * SECOND_1 + k * SECOND_2 + l * SECOND_3]);
                }
            }
        }
    }
}
