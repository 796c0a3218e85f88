/*
 * llm.c - the agent's side of the control socket: llm-status, llm-report, llm-done, llm-report-blocker and
 * llm-request-approval in one static program that looks at the name it was called by.
 *
 * One request, one reply, one line of JSON each, over the socket $ORCH_DIR/control. This program has no
 * authority: all it sends is information, and a phase ends or passes only as the supervisor decides. It
 * depends on libc only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MAX_REQUEST = 64 * 1024, /* the socket's contract: one line with its newline */
    MAX_REPLY = 256 * 1024,
    TIMEOUT_SECONDS = 30,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
};

enum text { TEXT_NONE, TEXT_OPTIONAL, TEXT_REQUIRED };

struct command {
    const char *name; /* without "llm-" */
    const char *cmd;  /* value of "cmd" in the request */
    enum text text;
    const char *what;
};

static const struct command commands[] = {
    {"status", "status", TEXT_NONE, "Show the phase, its gates, and what is allowed in it."},
    {"report", "report", TEXT_REQUIRED, "Tell the operator how the work is going."},
    {"done", "done", TEXT_OPTIONAL, "End this attempt. The gates then decide whether the phase passed."},
    {"report-blocker", "blocker", TEXT_REQUIRED, "Tell the operator what stands in the way."},
    {"request-approval", "request-approval", TEXT_REQUIRED, "Ask the operator for an approval."},
};

struct request {
    char bytes[MAX_REQUEST];
    size_t len;
    bool full; /* something did not fit */
};

static __attribute__((format(printf, 3, 4))) int complain(int status, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fprintf(stderr, "llm-%s: ", name);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    return status;
}

static void usage(FILE *out, const struct command *c)
{
    static const char *const text[] = {"", " [TEXT... | -]", " TEXT... | -"};
    (void)fprintf(out, "usage: llm-%s%s\n%s\n", c->name, text[c->text], c->what);
    if (c->text != TEXT_NONE)
        (void)fputs("TEXT is the arguments joined by spaces, or standard input with a single '-'.\n", out);
    (void)fputs("Exit status: 0 accepted, 1 refused or not reachable, 2 usage.\n", out);
}

static const struct command *find_command(const char *name)
{
    if (strncmp(name, "llm-", 4) == 0)
        name += 4;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int usage_all(FILE *out, int status)
{
    (void)fputs("usage: llm COMMAND [ARGUMENT...], or call this program by one of its names\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        (void)fprintf(out, "  llm-%-17s %s\n", commands[i].name, commands[i].what);
    return status;
}

static void put(struct request *r, const char *p, size_t n)
{
    if (n > sizeof(r->bytes) - r->len) {
        r->full = true;
        return;
    }
    memcpy(r->bytes + r->len, p, n);
    r->len += n;
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) /* overlong, surrogates */
        return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) /* overlong, above U+10FFFF */
        return 0;
    return len;
}

/* Appends text as the inside of a JSON string. NUL and bytes that are not UTF-8 become U+FFFD: the server is
 * strict. */
static void put_escaped(struct request *r, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < n && !r->full;) {
        size_t len = utf8_len(p + i, n - i);
        char esc[8];
        if (len == 0 || p[i] == 0) {
            put(r, "\\ufffd", 6);
            i++;
        } else if (p[i] == '"' || p[i] == '\\') {
            esc[0] = '\\';
            esc[1] = (char)p[i++];
            put(r, esc, 2);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            (void)snprintf(esc, sizeof(esc), "\\u%04x", p[i++]);
            put(r, esc, 6);
        } else {
            put(r, text + i, len);
            i += len;
        }
    }
}

/* Standard input, whole, because a UTF-8 sequence may not be cut. More than a request can hold sets full. */
static void put_stdin(struct request *r)
{
    static char in[MAX_REQUEST + 1];
    size_t n = fread(in, 1, sizeof(in), stdin);
    if (n == sizeof(in) || ferror(stdin)) {
        r->full = true;
        return;
    }
    if (n > 0 && in[n - 1] == '\n')
        n--;
    put_escaped(r, in, n);
}

static int build_request(struct request *r, const struct command *c, char *const *args)
{
    put(r, "{\"cmd\":\"", 8);
    put(r, c->cmd, strlen(c->cmd));
    put(r, "\"", 1);
    if (args[0]) {
        put(r, ",\"text\":\"", 9);
        if (strcmp(args[0], "-") == 0 && !args[1]) {
            put_stdin(r);
        } else {
            for (size_t i = 0; args[i]; i++) {
                if (i > 0)
                    put(r, " ", 1);
                put_escaped(r, args[i], strlen(args[i]));
            }
        }
        put(r, "\"", 1);
    }
    put(r, "}\n", 2);
    return r->full ? -E2BIG : 0;
}

static int connect_control(int *ret_fd)
{
    const char *dir = getenv("ORCH_DIR");
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct timeval tv = {.tv_sec = TIMEOUT_SECONDS};
    int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control", dir && *dir ? dir : "/orch");
    if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
        int e = -errno;
        (void)close(fd);
        return e;
    }
    *ret_fd = fd;
    return 0;
}

static int send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Reads up to the first newline (dropped) or the end; the result is NUL-terminated. */
static int read_line(int fd, char *buf, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        ssize_t r = read(fd, buf + n, size - 1 - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        char *nl = memchr(buf + n, '\n', (size_t)r);
        n += (size_t)r;
        if (nl || r == 0) {
            buf[nl ? (size_t)(nl - buf) : n] = '\0';
            return n == 0 ? -ECONNRESET : 0;
        }
    }
    return -EMSGSIZE;
}

/* The end of the JSON string that starts at p (after its closing quote). */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

/* True if the outermost object has "ok": true. What the reply quotes deeper inside does not count. */
static bool reply_ok(const char *s)
{
    int depth = 0;
    while (*s) {
        if (*s == '"') {
            const char *end = skip_string(s);
            bool is_ok = depth == 1 && strncmp(s, "\"ok\"", 4) == 0;
            s = end + strspn(end, " \t");
            if (is_ok && *s == ':') {
                s++;
                s += strspn(s, " \t");
                return strncmp(s, "true", 4) == 0;
            }
            continue;
        }
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        s++;
    }
    return false;
}

static void newline(int depth)
{
    (void)printf("\n%*s", depth * 2, "");
}

/* Prints one line of JSON over several lines. Only layout is added; strings stay as they are, escapes
 * included. */
static void print_pretty(const char *s)
{
    int depth = 0;
    while (*s) {
        const char *end = s + 1;
        if (*s == '"')
            end = skip_string(s);
        bool open = *s == '{' || *s == '[', shut = *s == '}' || *s == ']';
        bool empty = open && (s[1] == '}' || s[1] == ']');
        if (shut && depth > 0)
            depth--;
        if (shut)
            newline(depth);
        if (empty)
            end = s + 2;
        if (*s != ' ' && *s != '\t')
            (void)fwrite(s, 1, (size_t)(end - s), stdout);
        if (open && !empty)
            newline(++depth);
        else if (*s == ',')
            newline(depth);
        else if (*s == ':')
            (void)putchar(' ');
        s = end;
    }
    (void)putchar('\n');
}

static int talk(const struct command *c, const struct request *r)
{
    static char reply[MAX_REPLY];
    int fd = -1;
    int e = connect_control(&fd);
    if (e < 0)
        return complain(EXIT_REFUSED, c->name, "cannot reach the supervisor: %s", strerror(-e));
    e = send_all(fd, r->bytes, r->len);
    if (e == 0)
        e = read_line(fd, reply, sizeof(reply));
    (void)close(fd);
    if (e < 0)
        return complain(EXIT_REFUSED, c->name, "no answer from the supervisor: %s", strerror(-e));
    if (c->text == TEXT_NONE)
        print_pretty(reply);
    else
        (void)puts(reply);
    if (fflush(stdout) != 0)
        return complain(EXIT_REFUSED, c->name, "cannot write the answer: %s", strerror(errno));
    return reply_ok(reply) ? EXIT_SUCCESS : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    static struct request request;
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    char **args = argv + (argc > 0);
    if (strcmp(name, "llm") == 0 && args[0])
        name = *args++;
    const struct command *c = find_command(name);
    if (!c)
        return strcmp(name, "--help") == 0 ? usage_all(stdout, EXIT_SUCCESS) : usage_all(stderr, EXIT_USAGE);
    if (args[0] && (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0)) {
        usage(stdout, c);
        return EXIT_SUCCESS;
    }
    if (args[0] && strcmp(args[0], "--") == 0)
        args++;
    if ((c->text == TEXT_NONE && args[0]) || (c->text == TEXT_REQUIRED && !args[0])) {
        usage(stderr, c);
        return EXIT_USAGE;
    }
    if (build_request(&request, c, args) < 0)
        return complain(EXIT_USAGE, c->name, "the text is too long: a request is at most %d bytes",
                        MAX_REQUEST);
    return talk(c, &request);
}
