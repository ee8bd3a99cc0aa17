/* The page as a whole. No script, nothing from elsewhere: the policy in its head forbids both. */
#include "runtime/data/report_parts.h"

static void put_head(const sa_report *report, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
          "style-src 'unsafe-inline'\" />\n"
          "<meta name=\"color-scheme\" content=\"light dark\" />\n<title>",
          out);
    report_text(out, report->title);
    fputs("</title>\n<style>\n", out);
    fputs(report_style, out);
    fputs("</style>\n</head>\n<body>\n<header>\n<h1><bdi>", out);
    report_text(out, report->title);
    fputs("</bdi></h1>\n<p>Click-by-click segmentation, reported by segagent " SEGAGENT_VERSION
          ".</p>\n</header>\n<main>\n",
          out);
}

static void put_terms(FILE *out)
{
    fputs(
        "<section class=\"terms\">\n<h2>How to read the figures</h2>\n<dl>\n"
        "<dt>IoU</dt><dd>pixels that a mask and the truth have in common, by those of the two together</dd>\n"
        "<dt>gIoU</dt><dd>mean IoU over items, of the masks that the run kept</dd>\n"
        "<dt>cIoU</dt><dd>all common pixels of all items by all pixels together</dd>\n"
        "<dt>change</dt><dd>gIoU minus that of the run named, item by item; p by flipping signs</dd>\n"
        "<dt>clicks kept</dt><dd>mean number of clicks behind the kept mask, of those that were carried "
        "out</dd>\n"
        "<dt>NoC@80</dt><dd>clicks until the IoU is 0.8 or more; items that never are count as the most "
        "clicks of any</dd>\n"
        "<dt>first click inside</dt><dd>share of items whose first click adds, and lies in the truth</dd>\n"
        "<dt>PRM</dt><dd>process reward model: the policy’s own estimate of a mask’s IoU. Error is the mean "
        "absolute one, Spearman the rank correlation with the true IoU, over all states after a click</dd>\n"
        "</dl>\n<p>Intervals are 95 % bootstrap intervals over items (10,000 resamples).</p>\n</section>\n",
        out);
}

sa_status sa_report_write(const sa_report *report, FILE *stream, size_t *items, sa_error *err)
{
    put_head(report, stream);
    report_figures(report, stream);
    report_runs(report, stream);
    sa_status status = report_items(report, stream, items, err);
    put_terms(stream);
    fputs("</main>\n</body>\n</html>\n", stream);
    return status;
}
