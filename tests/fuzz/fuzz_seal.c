/* fuzz_seal.c - seal.json of any bytes: accepted only where it names the ends of both logs, else exit 7.
 * Includes the source, because its reader is its own. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "supervisor/verify.c"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static char path[] = "/dev/shm/orch-fuzz-seal-XXXXXX";

static void remove_dir(void)
{
    (void)orch_rm_rf(AT_FDCWD, path);
}

static int open_dir(void)
{
    static int fd = -1;
    if (fd < 0) {
        if (mkdtemp(path) == NULL || atexit(remove_dir) != 0)
            abort();
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct orch_rundir dir = {.fd = open_dir()};
    struct orch_run_state s = {.ended = true};
    struct log journal = {.name = ORCH_JOURNAL_NAME}, audit = {.name = ORCH_AUDIT_NAME};
    struct orch_buf ok = {0};
    struct orch_err err = {0};
    ORCH_AUTO_FD int fd = openat(dir.fd, ORCH_SEAL_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || orch_write_all(fd, data, size) < 0)
        abort();
    int k = check_seal(&dir, &s, &journal, &audit, NULL, &ok, &err);
    /* empty logs have no ends, so nothing may be accepted */
    if (k == 0 || err.exit_code != ORCH_EXIT_CORRUPT)
        abort();
    orch_buf_fini(&ok);
    return 0;
}
