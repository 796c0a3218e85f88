/*
 * bpf.c - an interpreter for the part of classic BPF that libseccomp emits: load a 32-bit word of the call's
 * data, mask, compare with a constant, jump forward, return. Anything else is an error, so that a program
 * cannot mean one thing here and another in the kernel. Jumps only go forward: a run takes at most `len`
 * steps.
 */
#include <stddef.h>
#include <string.h>
#include "policy/syscalls.h"

static uint32_t word(const struct seccomp_data *d, uint32_t offset)
{
    uint32_t w;
    memcpy(&w, (const char *)d + offset, sizeof(w));
    return w;
}

static bool is_word(uint32_t offset)
{
    return offset % 4 == 0 && offset <= sizeof(struct seccomp_data) - 4;
}

/* How far the instruction at pc jumps with acc; what is no jump goes on with the next. */
static uint32_t distance(const struct sock_filter *i, uint32_t acc)
{
    switch (i->code) {
    case BPF_JMP | BPF_JA:
        return i->k;
    case BPF_JMP | BPF_JEQ | BPF_K:
        return acc == i->k ? i->jt : i->jf;
    case BPF_JMP | BPF_JGT | BPF_K:
        return acc > i->k ? i->jt : i->jf;
    case BPF_JMP | BPF_JGE | BPF_K:
        return acc >= i->k ? i->jt : i->jf;
    default:
        return UINT32_MAX; /* not of the subset: further than any program is long */
    }
}

/* Runs from `pc` to a return, or to the first load from `limit` on. Where that is, or len if it goes wrong.
 */
static size_t run(const struct sock_filter *prog, size_t len, size_t pc, uint32_t limit,
                  const struct seccomp_data *d)
{
    uint32_t acc = 0;
    while (pc < len && prog[pc].code != (BPF_RET | BPF_K)) {
        const struct sock_filter *i = &prog[pc];
        if (i->code == (BPF_LD | BPF_W | BPF_ABS)) {
            if (!is_word(i->k))
                return len;
            if (i->k >= limit)
                return pc;
            acc = word(d, i->k);
            pc++;
        } else if (i->code == (BPF_ALU | BPF_AND | BPF_K)) {
            acc &= i->k;
            pc++;
        } else {
            uint32_t by = distance(i, acc);
            pc = by >= len - pc - 1 ? len : pc + 1 + by;
        }
    }
    return pc;
}

size_t orch_bpf_common(const struct sock_filter *prog, size_t len, const struct seccomp_data *d)
{
    return run(prog, len, 0, offsetof(struct seccomp_data, instruction_pointer), d);
}

int64_t orch_bpf_run_from(const struct sock_filter *prog, size_t len, size_t pc, const struct seccomp_data *d)
{
    pc = run(prog, len, pc, UINT32_MAX, d);
    return pc < len ? (int64_t)prog[pc].k : -1;
}

int64_t orch_bpf_run(const struct sock_filter *prog, size_t len, const struct seccomp_data *d)
{
    return orch_bpf_run_from(prog, len, 0, d);
}
