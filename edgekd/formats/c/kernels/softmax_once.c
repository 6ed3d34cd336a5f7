/* Shares of a whole along each row, by a table in float32 that is summed in order; half up. */
static void softmax_once(const int8_t *input, int8_t *output, const float *exponentials)
{
    for (int32_t row = 0; row < ROWS; ++row) {
        int32_t largest = -128;
        float sum = 0.0f;
        float inverse;
        for (int32_t k = 0; k < LENGTH; ++k) {
            largest = input[k] > largest ? input[k] : largest;
        }
        for (int32_t k = 0; k < LENGTH; ++k) {
            sum += exponentials[largest - input[k]];
        }
        inverse = 1.0f / (sum * (1.0f / 256.0f));
        for (int32_t k = 0; k < LENGTH; ++k) {
            const float share = exponentials[largest - input[k]] * inverse;
            output[k] = saturate((int32_t)(share + 0.5f) - 128, -128, 127);
        }
        input += LENGTH;
        output += LENGTH;
    }
}
