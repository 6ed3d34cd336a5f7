/* The semihosting calls that main.c needs. Each traps to the emulator, which does the work on its own machine. */
#include "host.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { APPLICATION_EXIT = 0x20026 }; /* ADP_Stopped_ApplicationExit */

static int32_t trap(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static uint32_t length(const char *text)
{
    uint32_t bytes = 0;
    while (text[bytes] != '\0') {
        bytes++;
    }
    return bytes;
}

int32_t host_open(const char *name, uint32_t mode)
{
    const uint32_t arguments[3] = {(uint32_t)name, mode, length(name)};
    return trap(SYS_OPEN, arguments);
}

/* Read and write return 0 if all bytes went through: the emulator answers with those that did not. */
int host_read(int32_t file, void *to, uint32_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)to, bytes};
    return trap(SYS_READ, arguments);
}

int host_write(int32_t file, const void *from, uint32_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)from, bytes};
    return trap(SYS_WRITE, arguments);
}

void host_close(int32_t file)
{
    (void)trap(SYS_CLOSE, &file);
}

void host_exit(uint32_t status)
{
    const uint32_t arguments[2] = {APPLICATION_EXIT, status};
    for (;;) {
        (void)trap(SYS_EXIT_EXTENDED, arguments);
    }
}
