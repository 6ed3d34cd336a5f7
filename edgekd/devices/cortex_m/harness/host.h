/* Files of the machine that runs the emulator, through Arm's semihosting (Arm Semihosting, release 2.0). */
#ifndef HARNESS_HOST_H
#define HARNESS_HOST_H

#include <stdint.h>

enum { HOST_READ = 1, HOST_WRITE = 5 }; /* the modes of SYS_OPEN: "rb" and "wb" */

/* What the emulator's process ends with; qemu.py says each in words. */
enum { ENDED_WELL = 0, ENDED_BY_FAULT = 101, ENDED_BY_STACK = 102, ENDED_BY_MODEL = 103, ENDED_BY_FILES = 104 };

int32_t host_open(const char *name, uint32_t mode);
int host_read(int32_t file, void *to, uint32_t bytes);
int host_write(int32_t file, const void *from, uint32_t bytes);
void host_close(int32_t file);
void host_exit(uint32_t status) __attribute__((noreturn));

#endif
