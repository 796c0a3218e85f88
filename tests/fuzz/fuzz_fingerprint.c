/* fuzz_fingerprint.c - a kept fingerprint of any bytes against a small directory: a list of differences, or
 * refused as damaged. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "common/io.h"
#include "supervisor/apply.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static char path[] = "/dev/shm/orch-fuzz-fingerprint-XXXXXX";

static void remove_dir(void)
{
    (void)orch_rm_rf(AT_FDCWD, path);
}

static void make_once(void)
{
    static bool made;
    if (made)
        return;
    made = true;
    if (mkdtemp(path) == NULL || atexit(remove_dir) != 0)
        abort();
    ORCH_AUTO_FREE char *file = orch_xasprintf("%s/file", path);
    ORCH_AUTO_FD int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
}

static void compare(const char *bytes, size_t n)
{
    struct orch_buf kept = {0};
    struct orch_strv diff = {0};
    struct orch_err err = {0};
    size_t count = 0;
    orch_buf_add(&kept, bytes, n);
    int r = orch_fingerprint_diff(&kept, path, NULL, 10, &diff, &count, &err);
    if ((r < 0 && r != -EBADMSG) || diff.n > 10 || diff.n > count)
        abort();
    orch_strv_fini(&diff);
    orch_buf_fini(&kept);
}

/* As it is, and behind the right first bytes. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct orch_buf b = {0};
    make_once();
    compare((const char *)data, size);
    orch_buf_str(&b, "ORCHFP1\n");
    orch_buf_add(&b, data, size);
    compare(b.data, b.len);
    orch_buf_fini(&b);
    return 0;
}
