/* A sum of codes to the code of their mean; both zero points are in the constant. */
static int8_t scale_mean(int32_t sum)
{
    return saturate_steps((float)sum * FACTOR + CONSTANT, 0, -128, 127);
}
