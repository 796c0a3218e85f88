/*
 * sysgroups.h - facts about system calls that are independent of any profile: argument widths and group
 * descriptions. Names, numbers and groups are declared in syscalls.h. Tables only; nothing here changes or is
 * owned by a caller.
 */
#ifndef ORCH_POLICY_SYSGROUPS_H
#define ORCH_POLICY_SYSGROUPS_H

#include <stdint.h>

/*
 * The bits of an argument that the kernel looks at: ~0 for pointers, longs and unknown arguments, 0xffffffff
 * for int and its like, 0xffff for file modes. Seccomp sees whole registers, so a comparison of anything else
 * can be passed by garbage in the upper bits (CVE-2019-10063). index 0-5.
 */
uint64_t orch_syscall_arg_mask(int nr, unsigned index);

/* One sentence about a group, NULL if there is no such group. */
const char *orch_syscall_group_about(const char *name);

#endif
