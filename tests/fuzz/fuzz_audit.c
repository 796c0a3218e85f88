/*
 * What `audit` prints of any records, rightly chained: never a byte that a terminal, a spreadsheet or a
 * reader of JSON could take for more than text. The first line of the input says which records are asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/io.h"
#include "supervisor/audit.h"
#include "tests/fuzz/chain_of.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The sandbox's own, when it is linked in. */
__attribute__((weak)) const char *orch_denial_class_name(enum orch_denial_class c)
{
    return c == ORCH_CLASS_EXEC ? "exec" : "filesystem";
}

static char path[] = "/dev/shm/orch-fuzz-audit-XXXXXX";
static int dir_fd = -1, out_fd = -1;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void remove_dir(void)
{
    (void)orch_rm_rf(AT_FDCWD, path);
}

static void open_once(void)
{
    if (dir_fd >= 0)
        return;
    check(mkdtemp(path) && atexit(remove_dir) == 0);
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    out_fd = memfd_create("out", MFD_CLOEXEC);
    check(dir_fd >= 0 && out_fd >= 0);
}

static void spill(const struct orch_buf *log)
{
    ORCH_AUTO_FD int fd = openat(dir_fd, "audit.jsonl", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    check(fd >= 0 && orch_write_all(fd, log->data, log->len) == 0);
}

/* Prints in one format; false if the log is refused, and then nothing is printed. */
static bool print(enum orch_audit_format format, const struct orch_audit_filter *filter, struct orch_buf *out)
{
    struct orch_err err = {0};
    int rc;

    check(ftruncate(out_fd, 0) == 0 && lseek(out_fd, 0, SEEK_SET) == 0);
    rc = orch_audit_print(dir_fd, out_fd, format, filter, &err);
    check(lseek(out_fd, 0, SEEK_SET) == 0 && orch_read_all(out_fd, (size_t)64 << 20, out) == 0);
    orch_buf_add(out, "", 0);
    check(rc == 0 || (err.exit_code == 7 && out->len == 0));
    return rc == 0;
}

static void check_plain(const struct orch_buf *b, bool crlf)
{
    for (size_t i = 0; i < b->len; i++) {
        unsigned char c = (unsigned char)b->data[i];

        check((c >= ' ' && c < 0x7f) || c == '\n' || (crlf && c == '\r'));
    }
}

/* RFC 4180: as many fields in each line, and none that begins as a formula does. */
static void check_csv(const struct orch_buf *b)
{
    size_t fields = 1, want = 0;
    bool quoted = false, start = true;

    for (size_t i = 0; i < b->len; i++) {
        char c = b->data[i];

        if (start && !quoted)
            check(c != '=' && c != '@' && c != '+' && c != '-');
        start = false;
        if (quoted && c == '"' && b->data[i + 1] == '"')
            i++;
        else if (c == '"') {
            quoted = !quoted;
            start = quoted;
            if (start)
                check(!strchr("=+-@", b->data[i + 1]) || !b->data[i + 1]);
        } else if (!quoted && c == ',') {
            fields++;
            start = true;
        } else if (!quoted && c == '\n') {
            check(want == 0 || fields == want);
            want = fields;
            fields = 1;
            start = true;
        }
    }
    check(!quoted && fields == 1);
}

static void check_json(const char *text, size_t n)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    int r = n > ORCH_JSON_MAX_BYTES ? 0 : orch_json_parse("out", text, n, &doc, &d);

    orch_diags_fini(&d);
    check(r == 0 || r == -E2BIG);
}

static void check_formats(const struct orch_audit_filter *filter)
{
    for (unsigned format = ORCH_AUDIT_TEXT; format <= ORCH_AUDIT_SARIF; format++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};

        if (!print(format, filter, &out) || out.len == 0)
            continue;
        check(out.data[out.len - 1] == '\n');
        check_plain(&out, format == ORCH_AUDIT_CSV);
        if (format == ORCH_AUDIT_CSV)
            check_csv(&out);
        if (format == ORCH_AUDIT_SARIF)
            check_json(out.data, out.len);
        for (char *line = out.data; format == ORCH_AUDIT_JSON && line < out.data + out.len;) {
            char *end = memchr(line, '\n', (size_t)(out.data + out.len - line));

            check_json(line, (size_t)(end - line));
            line = end + 1;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const classes[] = {NULL, "filesystem", "exec", "network", "x"};
    static const char *const events[] = {NULL, "denial", "exec", "gate", "attempt"};
    static const char *const phases[] = {NULL, "p", "q"};
    ORCH_AUTO_BUF struct orch_buf log = {0};
    struct orch_audit_filter filter = {0};

    if (size < 2)
        return 0;
    open_once();
    filter.class = classes[data[0] % 5];
    filter.event = events[data[0] / 5 % 5];
    filter.phase = phases[data[1] % 3];
    filter.attempt = filter.phase && data[1] & 64;
    chain_of(data + 2, size - 2, &log);
    spill(&log);
    check_formats(&filter);
    return 0;
}
