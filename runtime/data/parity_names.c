/* What SegAgent's evaluators call their files (MODEL_SPECS 10.3). */
#include <stdio.h>
#include <string.h>

#include "runtime/base/path.h"
#include "runtime/data/parity_choice.h"

static const char RUNNERS_NAME[] = "name it as SegAgent's runner does: "
                                   "STEM_newresults_CLICKS_SEGMENTER_MODEL_radiusRuse_gt_boxB.json";

/* Python's text.replace(from, to): every occurrence. False if it does not fit. */
static bool replace_all(char *out, size_t size, const char *text, const char *from, const char *to)
{
    size_t used = 0;
    while (*text != '\0') {
        bool found = strncmp(text, from, strlen(from)) == 0;
        const char *piece = found ? to : text;
        size_t length = found ? strlen(to) : 1;
        if (used + length >= size) {
            return false;
        }
        memcpy(out + used, piece, length);
        used += length;
        text += found ? strlen(from) : 1;
    }
    out[used] = '\0';
    return true;
}

static sa_status fail_long(const char *path, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, path, "use a shorter path", "the path is too long");
}

/* The runner's name of the data set: the first of these that the name holds, else what stands before "_". */
static void find_dataset(const char *stem, char *out, size_t size)
{
    static const char *const names[][2] = {
        {"refclef", "refclef"}, {"refcoco+", "refcoco+"}, {"refcocog", "refcocog"}, {"refcoco", "refcoco"},
        {"VOC", "pascal_voc"},  {"LVIS", "lvis"},         {"Reason", "reasonseg"},  {"FSS", "fss"},
        {"P3M", "p3m"},         {"OCHUMAN", "ochuman"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(stem, names[i][0]) != NULL) {
            snprintf(out, size, "%s", names[i][1]);
            return;
        }
    }
    snprintf(out, size, "%.*s", (int)strcspn(stem, "_"), stem);
}

/* STEM_newresults_CLICKS_REST + use_gt_box + BOX.json, cut up. */
typedef struct {
    char stem[256], clicks[64], rest[256], box[64];
} runners_name;

static bool cut(const char **text, const char *end, char *out, size_t size)
{
    const char *found = strstr(*text, end);
    if (found == NULL || (size_t)(found - *text) >= size) {
        return false;
    }
    memcpy(out, *text, (size_t)(found - *text));
    out[found - *text] = '\0';
    *text = found + strlen(end);
    return true;
}

static sa_status name_live(const char *path, const sa_parity_runner *runner, sa_parity *out, sa_error *err)
{
    const char *text = sa_path_name(path);
    int folder = (int)(text - path);
    char dataset[256];
    runners_name n;
    if (!cut(&text, "_newresults_", n.stem, sizeof n.stem) || !cut(&text, "_", n.clicks, sizeof n.clicks) ||
        !cut(&text, "use_gt_box", n.rest, sizeof n.rest) || !cut(&text, ".json", n.box, sizeof n.box)) {
        return sa_fail(err, SA_BAD_INPUT, path, RUNNERS_NAME,
                       "the names of the runner's files come from its own");
    }
    find_dataset(n.stem, dataset, sizeof dataset);
    int csv = snprintf(out->csv, sizeof out->csv, "%.*s%s_%s_%s_gridsample%s_use_pmask_%s_%suse_gt_box%s.csv",
                       folder, path, dataset, n.clicks, n.rest, runner->grid_sample, runner->previous_mask,
                       runner->visualize, n.box);
    int txt = snprintf(
        out->txt, sizeof out->txt, "%.*s%s_%s_%s_%s_gridsample%s_use_pmask_%s_use_gt_box%s.txt", folder, path,
        n.stem, n.clicks, runner->checkpoint, n.rest, runner->grid_sample, runner->previous_mask, n.box);
    bool fits = csv < (int)sizeof out->csv && txt < (int)sizeof out->txt;
    return fits ? SA_OK : fail_long(path, err);
}

sa_status sa_parity_name_files(const char *path, const sa_parity_options *options, sa_parity *out,
                               sa_error *err)
{
    char csv[64] = "_live.csv", txt[64] = ".txt", id[32] = "None";
    if (options->mode == SA_PARITY_LIVE && options->runner != NULL) {
        return name_live(path, options->runner, out, err);
    }
    if (options->mode == SA_PARITY_CLICK) {
        snprintf(id, sizeof id, "%lld", (long long)options->click_id);
    }
    if (options->mode != SA_PARITY_LIVE) {
        snprintf(csv, sizeof csv, "_clicknew2%s.csv", id);
        snprintf(txt, sizeof txt, "_click%s.txt", id);
    }
    if (strstr(path, ".json") == NULL) {
        return sa_fail(err, SA_BAD_INPUT, path, "name it as SegAgent does, with .json",
                       "the names of the CSV and txt file come from its own");
    }
    bool fits = replace_all(out->csv, sizeof out->csv, path, ".json", csv) &&
                replace_all(out->txt, sizeof out->txt, out->csv, ".csv", txt);
    return fits ? SA_OK : fail_long(path, err);
}
