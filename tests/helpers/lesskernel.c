/*
 * lesskernel.c - runs a command as on a kernel that has less: lesskernel NAME[,NAME...] COMMAND [ARGUMENT...]
 *
 * ENOSYS for the named calls. "wait_killable" is no call but a flag of seccomp(), which an older kernel
 * answers with EINVAL. Needs no privilege.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX 64

static const struct {
    const char *name;
    unsigned nr;
} calls[] = {
    {"landlock", SYS_landlock_create_ruleset},
    {"openat2", SYS_openat2},
    {"close_range", SYS_close_range},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"mount_setattr", SYS_mount_setattr},
    {"open_tree", SYS_open_tree},
    {"fsopen", SYS_fsopen},
    {"clone3", SYS_clone3},
};

static struct sock_filter code[MAX];
static unsigned short n;

static void add(struct sock_filter f)
{
    if (n < MAX)
        code[n++] = f;
}

static int lack(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(name, calls[i].name) != 0)
            continue;
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].nr, 0, 1));
        add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
        return 0;
    }
    return -1;
}

/* Last of all: it loads another word. */
static void lack_wait_killable(void)
{
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 3));
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])));
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1u << 5, 0, 1));
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL));
}

int main(int argc, char **argv)
{
    struct sock_fprog prog = {.filter = code};
    int killable = 0;
    char *save = NULL;

    if (argc < 3)
        return 2;
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (char *name = strtok_r(argv[1], ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        if (strcmp(name, "wait_killable") == 0)
            killable = 1;
        else if (lack(name) < 0)
            return 2;
    }
    if (killable)
        lack_wait_killable();
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    prog.len = n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
        perror("lesskernel: filter");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
