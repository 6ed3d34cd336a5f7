/* Runs the model on the samples of inputs.bin; writes its answers to outputs.bin, and what it took to measures.bin.
 *
 * inputs.bin: samples, number of inputs, number of outputs, bytes of each input, bytes of each output (uint32 each), then the
 * inputs of each sample. measures.bin: for each sample the bytes of stack and the ticks of SysTick (uint32 each). */
#include <stdint.h>

#include "host.h"
#include MODEL_HEADER

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_ON 5u /* enabled, by the core's clock, without an interrupt */
#define SYSTICK_WRAPPED (1u << 16)
#define LARGEST_TICK 0xFFFFFFu
#define PAINT 0xC0DEC0DEu
#define TENSORS 16u

extern uint32_t stack_bottom[];

static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((section(".arena"), aligned(16)));

/* The plugin counts from the first of these to the second. */
__attribute__((noinline, used)) void harness_start(void)
{
    __asm__ volatile("");
}

__attribute__((noinline, used)) void harness_stop(void)
{
    __asm__ volatile("");
}

/* One inference: 0 if all is well. Its stack is what it overwrites of the paint below this function's own. */
__attribute__((noinline)) static int measured(uint32_t *measures)
{
    uint32_t *own;
    __asm__ volatile("mov %0, sp" : "=r"(own));
    for (uint32_t *word = stack_bottom; word < own; word++) {
        *word = PAINT;
    }
    SYST_RVR = LARGEST_TICK;
    SYST_CVR = 0u;
    SYST_CSR = SYSTICK_ON;
    harness_start();
    const int status = MODEL_INVOKE(arena);
    harness_stop();
    const uint32_t ticks = LARGEST_TICK - SYST_CVR;
    measures[1] = (SYST_CSR & SYSTICK_WRAPPED) != 0u ? UINT32_MAX : ticks;
    const uint32_t *word = stack_bottom;
    while (word < own && *word == PAINT) {
        word++;
    }
    measures[0] = (uint32_t)((uintptr_t)own - (uintptr_t)word);
    if (word == stack_bottom) {
        host_exit(ENDED_BY_STACK);
    }
    return status;
}

int main(void)
{
    const int32_t from = host_open("inputs.bin", HOST_READ);
    const int32_t to = host_open("outputs.bin", HOST_WRITE);
    const int32_t record = host_open("measures.bin", HOST_WRITE);
    uint32_t header[3], bytes[TENSORS], measures[2];
    if (from < 0 || to < 0 || record < 0 || host_read(from, header, sizeof header) != 0) {
        return ENDED_BY_FILES;
    }
    const uint32_t samples = header[0], inputs = header[1], tensors = header[1] + header[2];
    if (tensors > TENSORS || host_read(from, bytes, 4u * tensors) != 0) {
        return ENDED_BY_FILES;
    }
    for (uint32_t sample = 0; sample < samples; sample++) {
        for (uint32_t input = 0; input < inputs; input++) {
            if (host_read(from, MODEL_INPUT(arena, (int)input), bytes[input]) != 0) {
                return ENDED_BY_FILES;
            }
        }
        if (measured(measures) != 0) {
            return ENDED_BY_MODEL;
        }
        for (uint32_t tensor = inputs; tensor < tensors; tensor++) {
            if (host_write(to, MODEL_OUTPUT(arena, (int)(tensor - inputs)), bytes[tensor]) != 0) {
                return ENDED_BY_FILES;
            }
        }
        if (host_write(record, measures, sizeof measures) != 0) {
            return ENDED_BY_FILES;
        }
    }
    host_close(to);
    host_close(record);
    return ENDED_WELL;
}
