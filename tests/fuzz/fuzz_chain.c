/* The reader of chains on any bytes: no crash, and never a record out of order. The audit report reads the
 * same file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "supervisor/audit.h"
#include "tests/fuzz/chain_of.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The sandbox's own, when it is linked in. */
__attribute__((weak)) const char *orch_denial_class_name(enum orch_denial_class c)
{
    return c == ORCH_CLASS_EXEC ? "exec" : "filesystem";
}

static int dir_fd = -1, null_fd = -1;

static char path[] = "/dev/shm/orch-fuzz-chain-XXXXXX";

static void remove_dir(void)
{
    (void)orch_rm_rf(AT_FDCWD, path);
}

static void open_once(void)
{
    if (dir_fd >= 0)
        return;
    if (!mkdtemp(path) || atexit(remove_dir) != 0)
        abort();
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (dir_fd < 0 || null_fd < 0)
        abort();
}

static void spill(const void *p, size_t n)
{
    ORCH_AUTO_FD int fd = openat(dir_fd, "audit.jsonl", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || orch_write_all(fd, p, n) < 0)
        abort();
}

static int check_order(void *ctx, const struct orch_json *rec)
{
    uint64_t *seq = ctx;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(orch_json_root(rec), "seq");

    if (!item || (uint64_t)item->valuedouble != ++*seq)
        abort();
    return 0;
}

static void read_it(void)
{
    struct orch_err err = {0};
    char head[ORCH_HEX_SIZE];
    uint64_t seq = 0;
    bool torn;
    int rc = orch_chain_read(dir_fd, "audit.jsonl", check_order, &seq, &torn, head, &err);

    if (rc < 0 && (err.errnum == 0 || err.exit_code == 0))
        abort();
    for (unsigned format = ORCH_AUDIT_TEXT; format <= ORCH_AUDIT_SARIF; format++)
        if ((orch_audit_print(dir_fd, null_fd, format, NULL, &err) == 0) != (rc == 0))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ORCH_AUTO_BUF struct orch_buf chain = {0};

    open_once();
    spill(data, size);
    read_it();
    chain_of(data, size, &chain);
    spill(chain.data, chain.len);
    read_it();
    return 0;
}
