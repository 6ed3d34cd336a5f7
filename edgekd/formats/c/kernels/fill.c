/* One code everywhere. */
static void fill(int8_t *output)
{
    for (int32_t i = 0; i < COUNT; ++i) {
        output[i] = CODE;
    }
}
