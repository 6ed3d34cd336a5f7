/* Each group of channels with all its places, less its mean, over its standard deviation; channels last. */
static void group_norm(const int8_t *input, int8_t *output, const float *weights, const float *biases)
{
    for (int32_t group = 0; group < GROUPS; ++group) {
        int32_t sum = 0;
        uint32_t squares = 0;
        float average;
        float variance;
        float deviation;
        for (int32_t place = 0; place < PLACES; ++place) {
            const int8_t *codes = input + place * GROUPS * WIDTH + group * WIDTH;
            for (int32_t k = 0; k < WIDTH; ++k) {
                sum += codes[k];
                squares += (uint32_t)(codes[k] * codes[k]);
            }
        }
        average = (float)sum / (float)(PLACES * WIDTH);
        variance = (float)squares / (float)(PLACES * WIDTH) - average * average;
        deviation = square_root((variance > 0.0f ? variance : 0.0f) + EPSILON);
        for (int32_t place = 0; place < PLACES; ++place) {
            for (int32_t k = 0; k < WIDTH; ++k) {
                const int32_t channel = group * WIDTH + k;
                const int32_t at = place * GROUPS * WIDTH + channel;
                const float normal = ((float)input[at] - average) / deviation;
                float value = normal * weights[channel] + biases[channel];
                if (POSITIVE != 0 && value < 0.0f) {
                    value = 0.0f;
                }
                if (AT_MOST_SIX != 0 && value > 6.0f) {
                    value = 6.0f;
                }
                output[at] = quantize(value, SCALE, ZERO_POINT);
            }
        }
    }
}
