/* term_filter.c - the allow list of terminal sequences, and the machine that applies it. See term_filter.h.
 */
#include "supervisor/term_filter.h"

#include <string.h>

#include "common/escape.h"

#define ESC 0x1b
#define ANY_COUNT 64
#define PARAM_DIGITS 5

/* ---- what is let through ---- */

/* Control bytes: bell, backspace, tab, line feeds, carriage return, the two shifts (line drawing of old
 * terminals). */
static const unsigned char controls[] = {0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

enum touched { /* bits of orch_term_filter.touched; the modes' rows follow from FIRST_MODE */
               TOUCH_SGR,
               TOUCH_REGION,
               TOUCH_CHARSET,
               TOUCH_KEYPAD,
               TOUCH_CURSOR_STYLE,
               TOUCH_INSERT,
               FIRST_MODE,
               TOUCH_NOTHING = 63
};

struct csi_row {
    char prefix, inter, final; /* prefix and intermediate byte, 0 = none */
    unsigned max_params;
    unsigned max_value;
    bool colons; /* sub-parameters */
    enum touched touches;
    const char *what;
};

/* CSI. 99999 columns to the right is how programs find an edge. What takes long to do is kept small. */
static const struct csi_row csi[] = {
    {0, 0, '@', 1, 9999, false, TOUCH_NOTHING, "insert characters"},
    {0, 0, 'A', 1, 99999, false, TOUCH_NOTHING, "cursor up"},
    {0, 0, 'B', 1, 99999, false, TOUCH_NOTHING, "cursor down"},
    {0, 0, 'C', 1, 99999, false, TOUCH_NOTHING, "cursor right"},
    {0, 0, 'D', 1, 99999, false, TOUCH_NOTHING, "cursor left"},
    {0, 0, 'E', 1, 99999, false, TOUCH_NOTHING, "cursor to a next line"},
    {0, 0, 'F', 1, 99999, false, TOUCH_NOTHING, "cursor to a line before"},
    {0, 0, 'G', 1, 99999, false, TOUCH_NOTHING, "cursor to a column"},
    {0, 0, 'H', 2, 99999, false, TOUCH_NOTHING, "cursor to a place"},
    {0, 0, 'I', 1, 9999, false, TOUCH_NOTHING, "cursor to a tab stop"},
    {0, 0, 'J', 1, 3, false, TOUCH_NOTHING, "erase in the display"},
    {0, 0, 'K', 1, 2, false, TOUCH_NOTHING, "erase in the line"},
    {0, 0, 'L', 1, 9999, false, TOUCH_NOTHING, "insert lines"},
    {0, 0, 'M', 1, 9999, false, TOUCH_NOTHING, "delete lines"},
    {0, 0, 'P', 1, 9999, false, TOUCH_NOTHING, "delete characters"},
    {0, 0, 'S', 1, 9999, false, TOUCH_NOTHING, "scroll up"},
    {0, 0, 'T', 1, 9999, false, TOUCH_NOTHING, "scroll down"}, /* with five it is mouse tracking */
    {0, 0, 'X', 1, 9999, false, TOUCH_NOTHING, "erase characters"},
    {0, 0, 'Z', 1, 9999, false, TOUCH_NOTHING, "cursor back to a tab stop"},
    {0, 0, '`', 1, 99999, false, TOUCH_NOTHING, "cursor to a column"},
    {0, 0, 'a', 1, 99999, false, TOUCH_NOTHING, "cursor right"},
    {0, 0, 'b', 1, 9999, false, TOUCH_NOTHING, "repeat a character"},
    {0, 0, 'd', 1, 99999, false, TOUCH_NOTHING, "cursor to a line"},
    {0, 0, 'e', 1, 99999, false, TOUCH_NOTHING, "cursor down"},
    {0, 0, 'f', 2, 99999, false, TOUCH_NOTHING, "cursor to a place"},
    {0, 0, 'g', 1, 3, false, TOUCH_NOTHING, "clear tab stops"},
    {0, 0, 'm', ANY_COUNT, 99999, true, TOUCH_SGR, "colours and attributes"},
    {0, 0, 'r', 2, 99999, false, TOUCH_REGION, "scroll region"},
    {0, 0, 's', 0, 0, false, TOUCH_NOTHING, "save the cursor"}, /* with parameters: margins */
    {0, 0, 'u', 0, 0, false, TOUCH_NOTHING, "restore the cursor"},
    {0, ' ', 'q', 1, 6, false, TOUCH_CURSOR_STYLE, "cursor style"},
};

/* Set by CSI ? N h, reset by CSI ? N l; off: what puts it back. */
struct mode_row {
    unsigned n;
    const char *off;
    const char *what;
};

static const struct mode_row modes[] = {
    {1, "\033[?1l", "cursor keys"},
    {6, "\033[?6l", "origin"},
    {7, "\033[?7h", "wrap at the edge"},
    {12, "\033[?12l", "blinking cursor"},
    {25, "\033[?25h", "visible cursor"},
    {47, "\033[?47l", "alternate screen"},
    {1047, "\033[?1047l", "alternate screen"},
    {1048, NULL, "saved cursor"},
    {1049, "\033[?1049l", "alternate screen"},
    {2004, "\033[?2004l", "bracketed paste"},
    {2026, "\033[?2026l", "synchronized output"},
};

/* ESC and one byte. Left out: answerback (Z), full reset (c), single shifts, everything that begins a string.
 */
static const struct {
    char final;
    enum touched touches;
} esc[] = {
    {'7', TOUCH_NOTHING}, {'8', TOUCH_NOTHING}, {'D', TOUCH_NOTHING}, {'E', TOUCH_NOTHING},
    {'H', TOUCH_NOTHING}, {'M', TOUCH_NOTHING}, {'=', TOUCH_KEYPAD},  {'>', TOUCH_KEYPAD},
};

/* ESC ( X and ESC ) X: ASCII, British, line drawing. ESC % would change the encoding. */
static const char charset_slots[] = "()";
static const char charsets[] = "0AB";

/* What begins a string sequence: DCS, SOS, OSC, PM, APC, and the title of screen(1). */
static const char strings[] = "PX]^_k";

/* What is no sequence, but misleads: direction overrides (U+061C too), line separators, tags. */
static const struct {
    uint32_t from, to;
} hidden[] = {
    {0x061c, 0x061c}, {0x200e, 0x200f}, {0x2028, 0x202e},
    {0x2066, 0x2069}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

static const struct {
    enum touched bit;
    const char *off;
} put_back[] = {
    {TOUCH_SGR, "\033[m"},
    {TOUCH_REGION, "\0337\033[r\0338"}, /* the reset moves the cursor */
    {TOUCH_CHARSET, "\033(B\033)B\017"},
    {TOUCH_KEYPAD, "\033>"},
    {TOUCH_CURSOR_STYLE, "\033[0 q"},
    {TOUCH_INSERT, "\033[4l"},
};

/* ---- the machine ---- */

static void touch(struct orch_term_filter *f, unsigned bit)
{
    if (bit < TOUCH_NOTHING)
        f->touched |= 1ULL << bit;
}

/* Back to text; what was gathered is left out. */
static void drop(struct orch_term_filter *f)
{
    f->dropped += f->len;
    f->len = 0;
    f->too_long = false;
    f->state = ORCH_TERM_GROUND;
}

static void done(struct orch_term_filter *f)
{
    f->len = 0;
    f->state = ORCH_TERM_GROUND;
}

static void gather(struct orch_term_filter *f, unsigned char c)
{
    if (f->len < sizeof(f->seq)) {
        f->seq[f->len++] = c;
    } else {
        f->too_long = true;
        f->dropped++;
    }
}

struct params {
    char prefix, inter;
    unsigned n, v[ANY_COUNT];
    bool colons, bad;
};

/* seq: ESC [ prefix? parameters intermediates? final. */
static void parse_params(const struct orch_term_filter *f, struct params *ret)
{
    size_t i = 2, end = f->len - 1;
    unsigned digits = 0;

    *ret = (struct params){0};
    if (i < end && strchr("<=>?", f->seq[i]))
        ret->prefix = (char)f->seq[i++];
    ret->n = i < end && f->seq[i] >= '0' ? 1 : 0;
    for (; i < end && f->seq[i] >= '0' && f->seq[i] <= ';'; i++) {
        if (f->seq[i] >= ':') {
            ret->colons |= f->seq[i] == ':';
            digits = 0;
            ret->bad |= ret->n == ANY_COUNT;
            ret->n += ret->n < ANY_COUNT;
            continue;
        }
        ret->bad |= ++digits > PARAM_DIGITS;
        if (!ret->bad)
            ret->v[ret->n - 1] = ret->v[ret->n - 1] * 10 + (f->seq[i] - (unsigned)'0');
    }
    if (i < end && f->seq[i] < '0')
        ret->inter = (char)f->seq[i++];
    ret->bad |= i != end;
}

static bool csi_fits(const struct csi_row *row, const struct params *p, char final)
{
    if (row->final != final || row->prefix != p->prefix || row->inter != p->inter || p->n > row->max_params ||
        (p->colons && !row->colons))
        return false;
    for (unsigned i = 0; i < p->n; i++)
        if (p->v[i] > row->max_value)
            return false;
    return true;
}

/* CSI ? N ; N ... h or l: those of the table, each by itself. */
static void private_modes(struct orch_term_filter *f, const struct params *p, char final,
                          struct orch_buf *out)
{
    bool any = false;

    for (unsigned i = 0; i < p->n; i++)
        for (unsigned k = 0; k < ORCH_NELEM(modes); k++)
            if (modes[k].n == p->v[i]) {
                orch_buf_printf(out, "\033[?%u%c", modes[k].n, final);
                touch(f, FIRST_MODE + k);
                any = true;
            }
    if (any)
        done(f);
    else
        drop(f);
}

static void end_csi(struct orch_term_filter *f, char final, struct orch_buf *out)
{
    bool sets = final == 'h' || final == 'l';
    struct params p;

    parse_params(f, &p);
    if (f->too_long || p.bad) {
        drop(f);
        return;
    }
    if (sets && p.prefix == '?' && !p.inter && !p.colons) {
        private_modes(f, &p, final, out);
        return;
    }
    if (sets && !p.prefix && !p.inter && p.n == 1 && p.v[0] == 4) { /* insert; others lock keys or echo */
        orch_buf_add(out, f->seq, f->len);
        touch(f, TOUCH_INSERT);
        done(f);
        return;
    }
    for (size_t i = 0; i < ORCH_NELEM(csi); i++)
        if (csi_fits(&csi[i], &p, final)) {
            orch_buf_add(out, f->seq, f->len);
            touch(f, csi[i].touches);
            done(f);
            return;
        }
    drop(f);
}

static void in_csi(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    if (c < 0x20 || c > 0x7e) { /* terminals differ in what they do with these: out of place, so left out */
        f->dropped++;
        return;
    }
    gather(f, c);
    if (c >= 0x40)
        end_csi(f, (char)c, out);
}

static void after_esc(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    gather(f, c);
    if (c == '[') {
        f->state = ORCH_TERM_CSI;
        return;
    }
    if (c >= 0x20 && c <= 0x2f) {
        f->state = ORCH_TERM_ESC_INT;
        return;
    }
    if (c && strchr(strings, c)) {
        drop(f);
        f->state = ORCH_TERM_STRING;
        return;
    }
    for (size_t i = 0; i < ORCH_NELEM(esc); i++)
        if ((unsigned char)esc[i].final == c) {
            orch_buf_add(out, f->seq, f->len);
            touch(f, esc[i].touches);
            done(f);
            return;
        }
    drop(f);
}

static void after_intermediate(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    gather(f, c);
    if (c >= 0x20 && c <= 0x2f)
        return;
    if (f->len == 3 && !f->too_long && strchr(charset_slots, f->seq[1]) && c && strchr(charsets, c)) {
        orch_buf_add(out, f->seq, f->len);
        touch(f, TOUCH_CHARSET);
        done(f);
        return;
    }
    drop(f);
}

/* To BEL, or to ESC: what follows is the string's end or a sequence of its own. */
static void in_string(struct orch_term_filter *f, unsigned char c)
{
    f->dropped++;
    if (c == 0x07)
        f->state = ORCH_TERM_GROUND;
}

static bool is_hidden(uint32_t cp)
{
    if (cp < 0xa0) /* the control bytes of 0x80 and up, in their other spelling */
        return true;
    for (size_t i = 0; i < ORCH_NELEM(hidden); i++)
        if (cp >= hidden[i].from && cp <= hidden[i].to)
            return true;
    return false;
}

static size_t utf8_length(unsigned char c)
{
    return c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
}

/* One byte of a character beyond ASCII. */
static void wide(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    uint32_t cp = 0;

    if (f->len > 0 && (c & 0xc0) != 0x80)
        drop(f); /* cut short */
    gather(f, c);
    if (f->len < utf8_length(f->seq[0]))
        return;
    if (orch_utf8_next(f->seq, f->len, &cp) != f->len || is_hidden(cp)) {
        drop(f);
        return;
    }
    if (f->utf8)
        orch_buf_add(out, f->seq, f->len);
    else
        orch_buf_char(out, '?'); /* such a terminal may take single bytes of it for control bytes */
    done(f);
}

static void in_text(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    if (c >= 0x80) {
        wide(f, c, out);
        return;
    }
    if (f->len > 0)
        drop(f);
    if ((c >= 0x20 && c < 0x7f) || memchr(controls, c, sizeof(controls))) {
        orch_buf_char(out, (char)c);
        if (c == 0x0e)
            touch(f, TOUCH_CHARSET);
    } else {
        f->dropped++;
    }
}

static void feed(struct orch_term_filter *f, unsigned char c, struct orch_buf *out)
{
    if (c == ESC) { /* anywhere: what came before is cut off */
        drop(f);
        gather(f, c);
        f->state = ORCH_TERM_ESC;
        return;
    }
    if (c == 0x18 || c == 0x1a) { /* CAN, SUB: the same, and nothing begins */
        drop(f);
        f->dropped++;
        return;
    }
    switch (f->state) {
    case ORCH_TERM_GROUND:
        in_text(f, c, out);
        return;
    case ORCH_TERM_ESC:
        after_esc(f, c, out);
        return;
    case ORCH_TERM_ESC_INT:
        after_intermediate(f, c, out);
        return;
    case ORCH_TERM_CSI:
        in_csi(f, c, out);
        return;
    case ORCH_TERM_STRING:
        in_string(f, c);
        return;
    }
    drop(f);
}

void orch_term_filter(struct orch_term_filter *f, const void *p, size_t n, struct orch_buf *out)
{
    const unsigned char *s = p;

    for (size_t i = 0; i < n; i++)
        feed(f, s[i], out);
}

void orch_term_filter_reset(struct orch_term_filter *f, struct orch_buf *out)
{
    drop(f);
    for (size_t k = 0; k < ORCH_NELEM(modes); k++)
        if ((f->touched & (1ULL << (FIRST_MODE + k))) && modes[k].off)
            orch_buf_str(out, modes[k].off);
    for (size_t i = 0; i < ORCH_NELEM(put_back); i++)
        if (f->touched & (1ULL << put_back[i].bit))
            orch_buf_str(out, put_back[i].off);
    f->touched = 0;
}
