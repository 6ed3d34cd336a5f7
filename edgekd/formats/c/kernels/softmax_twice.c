/* Shares of a whole along each row, in gemmlowp's fixed point: by a table, in units of 2^-31. */
static void softmax_twice(const int8_t *input, int8_t *output, const int32_t *exponentials)
{
    for (int32_t row = 0; row < ROWS; ++row) {
        int32_t largest = -128;
        int32_t room = 0;
        int32_t reciprocal;
        uint32_t sum = 0;
        for (int32_t k = 0; k < LENGTH; ++k) {
            largest = input[k] > largest ? input[k] : largest;
        }
        for (int32_t k = 0; k < LENGTH; ++k) {
            sum += (uint32_t)rounding_shift(exponentials[largest - input[k]], 12);
        }
        while ((sum & ((uint32_t)1 << 31)) == 0u) {
            sum <<= 1;
            ++room;
        }
        reciprocal = two_over_one_plus((int32_t)(sum & (uint32_t)INT32_MAX));
        reciprocal = reciprocal >= (1 << 30) ? INT32_MAX : reciprocal * 2;
        for (int32_t k = 0; k < LENGTH; ++k) {
            const int32_t share = high_product(reciprocal, exponentials[largest - input[k]]);
            const int32_t shift = 35 - room;
            output[k] = saturate((shift > 31 ? 0 : rounding_shift(share, shift)) - 128, -128, 127);
        }
        input += LENGTH;
        output += LENGTH;
    }
}
