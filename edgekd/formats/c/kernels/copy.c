/* Values from one place to another, each with steps of its own along every axis. */
static void copy(const element_t *input, element_t *output)
{
    for (int32_t i = 0; i < SIZE_0; ++i) {
        for (int32_t j = 0; j < SIZE_1; ++j) {
            for (int32_t k = 0; k < SIZE_2; ++k) {
                for (int32_t l = 0; l < SIZE_3; ++l) {
                    output[i * TO_0 + j * TO_1 + k * TO_2 + l * TO_3]
                        = input[i * FROM_0 + j * FROM_1 + k * FROM_2 + l * FROM_3];
                }
            }
        }
    }
}
