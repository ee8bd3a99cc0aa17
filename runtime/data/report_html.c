/* Words and numbers of the page. */
#include <math.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/data/report_parts.h"

/*
 * Quotes are escaped everywhere, so that one function will do for text and attributes. Line ends and tabs
 * become spaces; the other controls are in neither HTML nor XML.
 */
static void put_ascii(FILE *out, unsigned char c)
{
    switch (c) {
    case '&': fputs("&amp;", out); break;
    case '<': fputs("&lt;", out); break;
    case '>': fputs("&gt;", out); break;
    case '"': fputs("&quot;", out); break;
    case '\'': fputs("&#39;", out); break;
    case '\t':
    case '\n': putc(' ', out); break;
    default: fputs(c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : (char[2]){(char)c, '\0'}, out);
    }
}

/* U+FFFE and U+FFFF are characters that XML does not allow; C1 controls mean nothing in HTML. */
static bool is_allowed(const unsigned char *at, size_t length)
{
    return !(length == 3 && at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe) &&
           !(length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

void report_text(FILE *out, const char *text)
{
    size_t left = strlen(text), length;
    for (const unsigned char *at = (const unsigned char *)text; left > 0; at += length, left -= length) {
        bool whole;
        length = sa_utf8_step(at, left, &whole);
        if (whole && length == 1) {
            put_ascii(out, at[0]);
        } else if (whole && is_allowed(at, length)) {
            fwrite(at, 1, length, out);
        } else {
            fputs("\xef\xbf\xbd", out);
        }
    }
}

/* Minus is U+2212, as long as a plus; what rounds to 0 has no sign; a dash stands for what is not defined. */
static void put_number(FILE *out, double value, int decimals)
{
    char text[64];
    if (isnan(value)) {
        fputs("–", out);
        return;
    }
    snprintf(text, sizeof text, "%.*f", decimals, fabs(value));
    bool zero = strspn(text, "0.") == strlen(text);
    fprintf(out, "%s%s", value < 0 && !zero ? "−" : "", text);
}

void report_number(FILE *out, double value)
{
    put_number(out, value, 3);
}

void report_clicks(FILE *out, double value)
{
    put_number(out, value, 1);
}

/* The interval's class makes it small and grey, and in tables a line of its own. */
void report_figure(FILE *out, const sa_figure *figure)
{
    report_number(out, figure->value);
    if (!isnan(figure->value)) {
        fputs(" <span class=\"ci\">", out);
        report_number(out, figure->low);
        fputs(" to ", out);
        report_number(out, figure->high);
        fputs("</span>", out);
    }
}

/* ---- the run's record ---- */

/* Keys that have dots themselves (names of files) cannot be asked for this way. NULL as soon as one is
 * missing. */
static const json_t *find_record(const sa_report_run *run, const char *keys)
{
    const json_t *at = run->run;
    char key[64];
    while (at != NULL && *keys != '\0') {
        size_t length = strcspn(keys, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, keys);
        at = json_object_get(at, key);
        keys += length + (keys[length] == '.');
    }
    return at;
}

const char *report_record_text(const sa_report_run *run, const char *keys)
{
    const char *text = json_string_value(find_record(run, keys));
    return text != NULL ? text : "";
}

double report_record_number(const sa_report_run *run, const char *keys)
{
    const json_t *value = find_record(run, keys);
    return json_is_number(value) ? json_number_value(value) : NAN;
}
