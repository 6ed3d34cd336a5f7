/* A plugin of QEMU (API version 1) that counts how often the instruction at each address is executed, between two markers.
 *
 * Arguments: start=ADDRESS, stop=ADDRESS, out=FILE. FILE gets a line "address count" (hexadecimal, decimal) for each
 * instruction that was executed. Debian ships QEMU without its plugins' header, so that what is needed of it stands here. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, void (*call)(unsigned, void *), int flags,
                                                   void *data);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation, void *to, uint64_t value);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, void *), void *data);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments);

int qemu_plugin_version = 1;

struct place {
    uint64_t address, executed, at_start, between;
    struct place *next_in_bucket, *next;
};

enum { BUCKETS = 1 << 16 };
static struct place *buckets[BUCKETS], *places;
static uint64_t start, stop;
static const char *out;

/* A block may be translated more than once: an address keeps its counter. */
static struct place *place_of(uint64_t address)
{
    struct place **bucket = &buckets[(address >> 1) % BUCKETS];
    for (struct place *place = *bucket; place != NULL; place = place->next_in_bucket) {
        if (place->address == address) {
            return place;
        }
    }
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        abort();
    }
    place->address = address;
    place->next_in_bucket = *bucket;
    place->next = places;
    *bucket = places = place;
    return place;
}

static void on_start(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    for (struct place *place = places; place != NULL; place = place->next) {
        place->at_start = place->executed;
    }
}

static void on_stop(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    for (struct place *place = places; place != NULL; place = place->next) {
        place->between += place->executed - place->at_start;
        place->at_start = place->executed;
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t index = 0; index < qemu_plugin_tb_n_insns(block); index++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, index);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (address == start) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_start, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (address == stop) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_stop, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &place_of(address)->executed, 1);
    }
}

static void on_end(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    FILE *file = fopen(out, "w");
    if (file == NULL) {
        return;
    }
    for (struct place *place = places; place != NULL; place = place->next) {
        if (place->between != 0) {
            fprintf(file, "%" PRIx64 " %" PRIu64 "\n", place->address, place->between);
        }
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    for (int index = 0; index < count; index++) {
        if (strncmp(arguments[index], "start=", 6) == 0) {
            start = strtoull(arguments[index] + 6, NULL, 16);
        } else if (strncmp(arguments[index], "stop=", 5) == 0) {
            stop = strtoull(arguments[index] + 5, NULL, 16);
        } else if (strncmp(arguments[index], "out=", 4) == 0) {
            out = arguments[index] + 4;
        }
    }
    if (start == 0 || stop == 0 || out == NULL) {
        fprintf(stderr, "count: start, stop and out are needed\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
