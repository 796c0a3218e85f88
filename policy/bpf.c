/*
 * bpf.c - an interpreter for the part of classic BPF that libseccomp emits: load a 32-bit word of the call's
 * data, mask, compare with a constant, jump forward, return. Anything else is an error, so that a program
 * cannot mean one thing here and another in the kernel. Jumps only go forward: a run takes at most `len`
 * steps.
 */
#include <string.h>
#include "policy/syscalls.h"

struct machine {
    const struct sock_filter *prog;
    size_t len, pc;
    uint32_t acc;
    const struct seccomp_data *data;
};

static bool load(struct machine *m, uint32_t offset)
{
    if (offset % 4 != 0 || offset > sizeof(*m->data) - 4)
        return false;
    memcpy(&m->acc, (const char *)m->data + offset, 4);
    m->pc++;
    return true;
}

static bool jump(struct machine *m, uint32_t by)
{
    if (by >= m->len - m->pc - 1)
        return false;
    m->pc += 1 + (size_t)by;
    return true;
}

static bool branch(struct machine *m, const struct sock_filter *i, bool taken)
{
    return jump(m, taken ? i->jt : i->jf);
}

static bool step(struct machine *m)
{
    const struct sock_filter *i = &m->prog[m->pc];
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return load(m, i->k);
    case BPF_ALU | BPF_AND | BPF_K:
        m->acc &= i->k;
        m->pc++;
        return true;
    case BPF_JMP | BPF_JA:
        return jump(m, i->k);
    case BPF_JMP | BPF_JEQ | BPF_K:
        return branch(m, i, m->acc == i->k);
    case BPF_JMP | BPF_JGT | BPF_K:
        return branch(m, i, m->acc > i->k);
    case BPF_JMP | BPF_JGE | BPF_K:
        return branch(m, i, m->acc >= i->k);
    default:
        return false;
    }
}

int64_t orch_bpf_run(const struct sock_filter *prog, size_t len, const struct seccomp_data *d)
{
    struct machine m = {.prog = prog, .len = len, .data = d};
    while (m.pc < len) {
        if (prog[m.pc].code == (BPF_RET | BPF_K))
            return prog[m.pc].k;
        if (!step(&m))
            return -1;
    }
    return -1;
}
