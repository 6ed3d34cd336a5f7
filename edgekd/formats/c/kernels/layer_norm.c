/* Each row less its mean, over its standard deviation: sums of codes are whole numbers, all else is float32. */
static void layer_norm(const int8_t *input, int8_t *output, const float *weights, const float *biases)
{
    for (int32_t row = 0; row < ROWS; ++row) {
        int32_t sum = 0;
        int32_t squares = 0;
        float average;
        float variance;
        float deviation;
        for (int32_t k = 0; k < WIDTH; ++k) {
            sum += input[k];
            squares += input[k] * input[k];
        }
        average = mean_of((float)sum, (float)WIDTH);
        variance = mean_of((float)squares, (float)WIDTH) - average * average;
        deviation = square_root((variance > 0.0f ? variance : 0.0f) + EPSILON);
        for (int32_t k = 0; k < WIDTH; ++k) {
            const float normal = ((float)input[k] - average) / deviation;
            output[k] = quantize(normal * weights[k] + biases[k], SCALE, ZERO_POINT);
        }
        input += WIDTH;
        output += WIDTH;
    }
}
