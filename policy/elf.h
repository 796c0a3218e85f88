/*
 * elf.h - what the kernel and the dynamic loader take from an ELF64 x86_64 file: program interpreter, needed
 * libraries and search paths.
 *
 * The file may be hostile: every offset is checked against the file's size, every count and string is capped,
 * only pread is used (the offset of the descriptor stays), nothing is mapped and nothing is executed.
 */
#ifndef ORCH_POLICY_ELF_H
#define ORCH_POLICY_ELF_H

#include "common/util.h"

struct orch_elf {
    bool program;            /* ET_EXEC, or ET_DYN with an interpreter or an entry point */
    char *interp;            /* PT_INTERP, NULL if there is none (static, or a library) */
    struct orch_strv needed; /* DT_NEEDED, in order */
    char *rpath, *runpath;   /* DT_RPATH, DT_RUNPATH as written, or NULL */
};

/*
 * Reads the file behind fd. 0; -ENOEXEC if it is not ELF64 for x86_64; -EBADMSG if it is but makes no sense
 * (truncated, offsets outside, over a cap); -errno of pread. On failure *ret is empty.
 */
int orch_elf_read(int fd, struct orch_elf *ret);
void orch_elf_fini(struct orch_elf *e);

#endif
