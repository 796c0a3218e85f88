/* test_term_filter.c - which bytes of an agent reach the operator's terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/term_filter.h"

struct row {
    const char *in, *out;
};

static void filter_pieces(const char *in, size_t piece, bool utf8, struct orch_term_filter *f,
                          struct orch_buf *out)
{
    size_t n = strlen(in);

    *f = (struct orch_term_filter){.utf8 = utf8};
    for (size_t i = 0; i < n; i += piece)
        orch_term_filter(f, in + i, n - i < piece ? n - i : piece, out);
}

/* In pieces of each size, with the same result; what is not shown is counted. */
static void check_row(const char *in, const char *want, bool utf8)
{
    for (size_t piece = 1; piece <= strlen(in) + 1; piece++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};
        struct orch_term_filter f;

        filter_pieces(in, piece, utf8, &f, &out);
        assert_string_equal(out.data ? out.data : "", want);
        assert_int_equal(f.state, ORCH_TERM_GROUND);
    }
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_row(rows[i].in, rows[i].out ? rows[i].out : rows[i].in, true);
}

static const struct row passes[] = {
    {"text, tab\tand lines\r\n", NULL},
    {"\a\b\v\f\x0e\x0f", NULL},
    {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", NULL},
    {"\033[A\033[12B\033[3C\033[D\033[2E\033[F\033[80G\033[H\033[5;7H\033[;H\033[99999C", NULL},
    {"\033[J\033[2J\033[3J\033[K\033[1K\033[2L\033[M\033[4P\033[X\033[@\033[S\033[2T", NULL},
    {"\033[m\033[0m\033[1;31;48;5;17m\033[38;2;1;2;3m\033[4:3m\033[58:2::1:2:3m", NULL},
    {"\033[1;24r\033[r\033[s\033[u\0337\0338\033D\033E\033H\033M\033=\033>", NULL},
    {"\033(0lqqk\033(B\033)0", NULL},
    {"\033[?1049h\033[?1049l\033[?2004h\033[?25l\033[?25h\033[?1h\033[?7l\033[?6h\033[?2026h", NULL},
    {"\033[4h\033[4l\033[2 q\033[0 q\033[10b\033[3g", NULL},
};

static void what_draws_passes(void **state)
{
    (void)state;
    check_rows(passes, ORCH_NELEM(passes));
}

static const struct row refused[] = {
    /* titles, clipboard, links, colours asked for; to BEL and to ST */
    {"a\033]0;title\ab", "ab"},
    {"a\033]2;title\033\\b", "ab"},
    {"a\033]52;c;aGVsbG8=\ab", "ab"},
    {"a\033]8;;link:x\033\\link\033]8;;\033\\b", "alinkb"},
    {"a\033]10;?\ab", "ab"},
    {"a\033kscreen title\033\\b", "ab"},
    /* queries that a terminal answers by typing */
    {"a\033[cb", "ab"},
    {"a\033[0c\033[>c\033[>0c\033[=cb", "ab"},
    {"a\033[5n\033[6n\033[?6n\033[?15nb", "ab"},
    {"a\033Zb", "ab"},
    {"a\005b", "ab"},
    {"a\033[21t\033[20t\033[18t\033[14t\033[8;9;9tb", "ab"},
    {"a\033[x\033[1x\033[?1$p\033[4$p\033[>q\033[?ub", "ab"},
    {"a\033P$qm\033\\b", "ab"},
    {"a\033P+q544e\033\\b", "ab"},
    {"a\033P1000pq\033\\b", "ab"},
    {"a\033X sos \033\\\033^ pm \033\\\033_ apc \033\\b", "ab"},
    /* what changes keys or makes the terminal send something later */
    {"a\033[>4;2m\033[?4m\033[>1u\033[=5u\033[20h\033[2h\033[12hb", "ab"},
    {"a\033[?1000h\033[?1002h\033[?1003h\033[?1006h\033[?1004h\033[?9h\033[?1015hb", "ab"},
    {"a\033[1;2;3;4;5Tb", "ab"},
    /* print, resize, encodings, resets, tests */
    {"a\033[i\033[5i\033[?5i\033[?3h\033[?40h\033c\033%G\033%@\033#8\033 G\033[!pb", "ab"},
    {"a\033N\033O\033\\b", "ab"},
    {"a\033(Zb\033*0", "ab"},
    {"a\033[5;10sb", "ab"},
    {"a\033[?1s\033[?1r\033[1\"q\033[1;1;2;2;1;1;1;1$vb", "ab"},
    /* 8 bit: control bytes as single bytes and as characters */
    {"a\x9b"
     "6nb",
     "a6nb"},
    {"a\xc2\x9b"
     "6n\xc2\x9d"
     "0;x\xc2\x9c"
     "b",
     "a6n0;xb"},
    {"a\xff\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80\xe2\x82"
     "b",
     "ab"},
    /* direction and tags */
    {"a\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xf3\xa0\x81\x81\xe2\x80\xa8"
     "b",
     "ab"},
    {"a\x7f\x01\x11\x13\x10"
     "b",
     "ab"},
};

static void what_acts_is_left_out(void **state)
{
    (void)state;
    check_rows(refused, ORCH_NELEM(refused));
}

static const struct row tricks[] = {
    {"\033[?25;1000;2004h", "\033[?25h\033[?2004h"}, /* those of the table only */
    {"\033[?1000;1006h", ""},
    {"\033[6\033[31mn", "\033[31mn"}, /* a sequence within a sequence */
    {"\033\033[6n\033\033]0;x\a", ""},
    {"\033[6\030n", "n"},       /* cut off by CAN */
    {"\033[3\n1m", "\033[31m"}, /* a control byte within: left out */
    {"\033[6\x80n\033[3\xc2\x80"
     "1m",
     "\033[31m"},
    {"\033[1 1m\033[1?m\033[?1 h\033[ ?25h", ""},            /* parts in a wrong order */
    {"\033[123456C\033[99999b\033[4;4;4H\033[1:2H", ""},     /* too big, too many, out of place */
    {"\033]0;never ends\nand on\033[31mred", "\033[31mred"}, /* until the next ESC */
    {"\033]0;\xe2\x82\xac\x9c\033\\x", "x"},
};

static void tricks_do_not_pass(void **state)
{
    (void)state;
    check_rows(tricks, ORCH_NELEM(tricks));
    for (size_t piece = 1; piece < 5; piece++) { /* not complete: nothing of it is out */
        ORCH_AUTO_BUF struct orch_buf out = {0};
        struct orch_term_filter f;

        filter_pieces("\033[31", piece, true, &f, &out);
        assert_int_equal(out.len, 0);
        orch_term_filter_reset(&f, &out);
        assert_int_equal(out.len, 0);
        assert_int_equal(f.dropped, 4);
    }
}

static void long_sequences_are_bounded(void **state)
{
    struct orch_term_filter f = {.utf8 = true};
    ORCH_AUTO_BUF struct orch_buf in = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};

    (void)state;
    orch_buf_str(&in, "\033[");
    for (int i = 0; i < 100000; i++)
        orch_buf_str(&in, "1;");
    orch_buf_str(&in, "mX\033]");
    for (int i = 0; i < 100000; i++)
        orch_buf_char(&in, 'x');
    orch_buf_str(&in, "\aY");
    orch_term_filter(&f, in.data, in.len, &out);
    assert_string_equal(out.data, "XY");
    assert_int_equal(f.dropped, in.len - 2);
}

static void without_utf8_no_high_byte_passes(void **state)
{
    (void)state;
    check_row("\xe2\x9b\x9b|\xc3\xa4|\xf0\x9f\x98\x80|\x9b|\xc2\x9b", "?|?|?||", false);
}

static void dropped_bytes_are_counted(void **state)
{
    struct orch_term_filter f = {.utf8 = true};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    const char in[] = "a\033]0;t\ab\033[6nc\005\xff";

    (void)state;
    orch_term_filter(&f, in, sizeof(in) - 1, &out);
    assert_int_equal(out.len + f.dropped, sizeof(in) - 1);
}

static void modes_are_put_back(void **state)
{
    static const struct row rows[] = {
        {"text \033[2J\033[5;5H", ""},
        {"\033[31m", "\033[m"},
        {"\033[?1049h\033[?25l", "\033[?25h\033[?1049l"},
        {"\033[?2004h", "\033[?2004l"},
        {"\033[?7l", "\033[?7h"},
        {"\033[3;9r", "\0337\033[r\0338"},
        {"\x0e", "\033(B\033)B\017"},
        {"\033(0", "\033(B\033)B\017"},
        {"\033=", "\033>"},
        {"\033[4h", "\033[4l"},
        {"\033[5 q", "\033[0 q"},
        {"\033[?1000h", ""},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};
        ORCH_AUTO_BUF struct orch_buf off = {0};
        ORCH_AUTO_BUF struct orch_buf again = {0};
        struct orch_term_filter f;

        filter_pieces(rows[i].in, 3, true, &f, &out);
        orch_term_filter_reset(&f, &off);
        assert_string_equal(off.data ? off.data : "", rows[i].out);
        orch_term_filter(&f, off.data, off.len, &again); /* what puts back passes too */
        assert_int_equal(again.len, off.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_draws_passes),
        cmocka_unit_test(what_acts_is_left_out),
        cmocka_unit_test(tricks_do_not_pass),
        cmocka_unit_test(long_sequences_are_bounded),
        cmocka_unit_test(without_utf8_no_high_byte_passes),
        cmocka_unit_test(dropped_bytes_are_counted),
        cmocka_unit_test(modes_are_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
