/* A function of one code, by a table of all of them from -128 on. */
static void look_up(const int8_t *input, int8_t *output, const int8_t *table)
{
    for (int32_t i = 0; i < COUNT; ++i) {
        output[i] = table[input[i] + 128];
    }
}
