/* uint8 codes to int8 ones, where they lie. */
static void from_uint8(const uint8_t *unsigned_codes, int8_t *codes)
{
    for (int32_t i = 0; i < COUNT; ++i) {
        codes[i] = (int8_t)(unsigned_codes[i] - 128);
    }
}
