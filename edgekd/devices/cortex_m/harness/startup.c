/* From reset to main, and what a fault does. */
#include <stdint.h>

#include "host.h"

#define CCR (*(volatile uint32_t *)0xE000ED14u)   /* Configuration and Control Register */
#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* Coprocessor Access Control Register */
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94u)
#define MPU_RBAR (*(volatile uint32_t *)0xE000ED9Cu)
#define MPU_RASR (*(volatile uint32_t *)0xE000EDA0u)
#define UNALIGN_TRP (1u << 3)
#define CP10_AND_CP11 (0xFu << 20)

extern uint32_t stack_bottom[], stack_top[], data_start[], data_end[], data_image[], bss_start[], bss_end[];

int main(void);

void harness_reset(void) __attribute__((noreturn));
void harness_fault(void) __attribute__((noreturn));

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top,     (uintptr_t)harness_reset, (uintptr_t)harness_fault, (uintptr_t)harness_fault,
    (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault,
    (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault,
    (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault, (uintptr_t)harness_fault,
};

void harness_reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= CP10_AND_CP11; /* first of all: the compiler may use a register of the FPU anywhere */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
#if !defined(__ARM_FEATURE_UNALIGNED)
    CCR |= UNALIGN_TRP; /* Armv6-M faults on unaligned accesses; the Cortex-M3 that runs its code here shall too */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
#if __ARM_ARCH < 8
    /* QEMU's boards ignore writes to the 256 MiB below the RAM, where a stack without end would run on: forbid them. */
    MPU_RBAR = 0x10000000u | (1u << 4);            /* region 0 */
    MPU_RASR = (1u << 28) | (27u << 1) | 1u;       /* never execute, no access, 2^28 bytes, enabled */
    MPU_CTRL = (1u << 2) | 1u;                     /* all other memory as without an MPU */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    for (uint32_t *to = data_start, *from = data_image; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end;) {
        *to++ = 0u;
    }
    host_exit((uint32_t)main());
}

/* Leave the address of the instruction that faulted in fault.bin, and end. */
__attribute__((used)) static void report(const uint32_t *frame, uint32_t address)
{
    if (frame < stack_bottom) {
        host_exit(ENDED_BY_STACK);
    }
    const int32_t file = host_open("fault.bin", HOST_WRITE);
    (void)host_write(file, &address, sizeof address);
    host_close(file);
    host_exit(ENDED_BY_FAULT);
}

/* The core has pushed R0-R3, R12, LR, PC and xPSR, unless the stack was full: report on a fresh one. */
__attribute__((naked)) void harness_fault(void)
{
    __asm__ volatile("mrs r0, msp\n\t"
                     "ldr r2, =stack_bottom\n\t"
                     "cmp r0, r2\n\t"
                     "blo 1f\n\t"
                     "ldr r1, [r0, #24]\n\t"
                     "1: ldr r2, =stack_top\n\t"
                     "msr msp, r2\n\t"
                     "ldr r2, =report\n\t"
                     "bx r2\n\t"
                     ".ltorg");
}
