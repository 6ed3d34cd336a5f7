/* Codes between two ends. */
static void clamp(const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < COUNT; ++i) {
        output[i] = saturate(input[i], LOWEST, HIGHEST);
    }
}
