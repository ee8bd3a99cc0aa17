#include "runtime/cli/run_record.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/cli/profile.h"

static sa_status no_memory(sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, "run.json", NULL, "no memory for the run's record");
}

/* What results depend on. The seed and the device stand beside it; threads and batches change nothing. */
static json_t *config_of(const sa_cli *cli, const sa_run_options *o, const sa_run_kind *kind)
{
    json_t *c = json_pack("{s:s?, s:s?, s:s?, s:I, s:I, s:I, s:s, s:s, s:s}", "images", o->images,
                          "instances", o->instances, "split", o->split, "limit", (json_int_t)o->limit,
                          "max_pixels", (json_int_t)o->max_pixels, "max_side", (json_int_t)o->max_side,
                          "precision", o->precision, "numerics", cli->common.numerics, "grammar", o->form);
    if (c != NULL && kind->policy != NULL) { /* of the commands that know the truth */
        json_object_set_new(c, "start", json_string(o->start));
        json_object_set_new(c, "enough", json_real(o->enough));
        json_object_set_new(c, "min_gain", json_real(o->min_gain));
    }
    if (c == NULL || kind->judges_only) {
        return c;
    }
    json_t *search =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:f, s:b}", "search", o->search,
                  "score", o->score, "policy", o->policy, "steps", (json_int_t)o->steps, "candidates",
                  (json_int_t)o->candidates, "temperature", o->temperature, "beam", (json_int_t)o->beam,
                  "budget", (json_int_t)o->budget, "patience", (json_int_t)o->patience, "exploration",
                  o->exploration, "seconds", o->seconds, "trace", (int)o->trace);
    if (search == NULL || json_object_update(c, search) != 0) {
        json_decref(c);
        c = NULL;
    }
    json_decref(search);
    return c;
}

/* ---- hashes ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static sa_status add_hash(json_t *files, const char *name, const char *path, sa_error *err)
{
    char hex[65];
    SA_TRY(sa_sha256_file(path, hex, err));
    return json_object_set_new(files, name, json_string(hex)) == 0 ? SA_OK : no_memory(err);
}

static sa_status add_entry(json_t *files, const char *role, const char *directory, const char *entry,
                           sa_error *err)
{
    char path[SA_AGENT_PATH + 256], name[512];
    SA_TRY(sa_file_join(path, sizeof path, directory, entry, err));
    SA_TRY(sa_file_join(name, sizeof name, role, entry, err));
    return entry[0] == '.' || sa_file_is_directory(path) ? SA_OK : add_hash(files, name, path, err);
}

/* A model: the files of its directory, or the one file that it is. */
static sa_status add_model(json_t *files, const char *role, const char *path, sa_error *err)
{
    struct dirent **entries;
    if (!sa_file_is_directory(path)) {
        return add_hash(files, role, path, err);
    }
    int count = scandir(path, &entries, NULL, by_name);
    sa_status status = count < 0 ? sa_fail_errno(err, path, "cannot be listed") : SA_OK;
    for (int i = 0; i < count; i++) {
        status = status == SA_OK ? add_entry(files, role, path, entries[i]->d_name, err) : status;
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return status;
}

static sa_status hash_agent(json_t *files, const sa_agent *agent, bool models, sa_error *err)
{
    SA_TRY(add_hash(files, "agent.json", agent->file, err));
    if (!models) {
        return SA_OK;
    }
    SA_TRY(add_model(files, "policy", agent->policy, err));
    SA_TRY(add_model(files, "segmenter", agent->segmenter, err));
    return sa_file_is_regular(agent->template) ? add_hash(files, "template", agent->template, err) : SA_OK;
}

/* Of what is no file that can be read again (a folder, a pipe): what its items are called, show and ask. */
static sa_status hash_items(const sa_items *items, char hex[65], sa_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < items->count; i++) {
        const sa_item *item = &items->items[i];
        fprintf(stream, "%zu%c%s%c%s%c%s%c", item->row, 0, item->id, 0, item->image, 0, item->text, 0);
    }
    sa_status status = fclose(stream) == 0 ? sa_sha256(text, size, hex, err) : no_memory(err);
    free(text);
    return status;
}

static sa_status hash_input(const sa_run_options *o, const sa_items *items, char hex[65], sa_error *err)
{
    return sa_file_is_regular(o->input) ? sa_sha256_file(o->input, hex, err) : hash_items(items, hex, err);
}

static sa_status check_texts(const sa_run_options *o, sa_error *err)
{
    const char *const texts[] = {o->input, o->images, o->instances, o->split};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json = texts[i] != NULL ? json_string(texts[i]) : json_null();
        if (json == NULL) {
            return sa_fail(err, SA_BAD_USAGE, texts[i], "give it another name", "the name is no UTF-8");
        }
        json_decref(json);
    }
    return SA_OK;
}

/* ---- the record ---- */

static json_t *input_of(const sa_run_options *o, const sa_items *items, const char *sha256)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "path", o->input, "format", items->format, "sha256", sha256,
                     "items", (json_int_t)(items->count + items->bad_count));
}

sa_status sa_run_record(json_t **run, const sa_cli *cli, const sa_run_options *o, const sa_run_kind *kind,
                        const sa_agent *agent, const sa_items *items, const char *device, bool models,
                        sa_error *err)
{
    char sha256[65];
    SA_TRY(check_texts(o, err));
    SA_TRY(hash_input(o, items, sha256, err));
    json_t *files = json_object(), *config = config_of(cli, o, kind), *input = input_of(o, items, sha256);
    bool there = files != NULL && config != NULL && input != NULL;
    sa_status status = there ? hash_agent(files, agent, models, err) : no_memory(err);
    if (status == SA_OK && o->instances != NULL) {
        status = add_hash(input, "instances_sha256", o->instances, err);
    }
    if (status != SA_OK) {
        json_decref(files);
        json_decref(config);
        json_decref(input);
        return status;
    }
    *run = json_pack("{s:s, s:s, s:o, s:{s:s, s:o}, s:o, s:I, s:s}", "version", SEGAGENT_VERSION, "command",
                     kind->command, "config", config, "agent", "name", agent->name, "files", files, "input",
                     input, "seed", (json_int_t)cli->common.seed, "device", device);
    return *run != NULL ? SA_OK : no_memory(err);
}

static bool add_stages(json_t *times, const sa_device_work *work)
{
    json_t *stages = json_object();
    bool good = json_object_set_new(times, "stages", stages) == 0;
    for (int i = 0; good && i < SA_COST_STAGES; i++) {
        json_t *stage = json_pack("{s:I, s:I}", "batches", (json_int_t)work->batches[i], "units",
                                  (json_int_t)work->units[i]);
        good = json_object_set_new(stages, sa_cost_stage_name((sa_cost_stage)i), stage) == 0;
        if (good && work->seconds[i] > 0) {
            good = json_object_set_new(stage, "modelled", json_real(work->seconds[i])) == 0;
        }
    }
    return good;
}

/* Of the null device: its clock, and the host's own time beside it. */
static bool add_clock(json_t *times, const sa_runner_counts *c)
{
    double modelled = sa_cli_modelled_seconds(c), host = c->host;
    return modelled <= 0 ||
           (json_object_set_new(times, "modelled", json_real(modelled)) == 0 &&
            json_object_set_new(times, "host", json_real(host)) == 0 &&
            json_object_set_new(times, "busy", json_real(modelled / (modelled + host))) == 0);
}

json_t *sa_run_times(const sa_runner_counts *c, double seconds)
{
    json_t *times = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "total", seconds, "decode", c->decode,
                              "encode", c->encode, "vision", c->of_policy.vision, "think", c->think, "click",
                              c->click, "waited", c->waited);
    if (times == NULL || !add_stages(times, &c->work) || !add_clock(times, c)) {
        json_decref(times);
        return NULL;
    }
    return times;
}

/* What the policy did, and what it did not have to. */
static json_t *policy_counters(const sa_chat_counts *c)
{
    const sa_generator_counts *t = &c->text;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "vision_passes",
                     (json_int_t)c->seen, "prompt_tokens", (json_int_t)t->prompt_tokens,
                     "prompt_tokens_reused", (json_int_t)t->reused, "prompt_tokens_computed",
                     (json_int_t)t->prefilled, "answer_tokens", (json_int_t)t->decoded,
                     "answer_tokens_guessed", (json_int_t)t->guessed, "answer_tokens_guessed_right",
                     (json_int_t)t->right, "answer_tokens_forced", (json_int_t)t->forced, "policy_passes",
                     (json_int_t)t->forwards, "kv_pages_given_back", (json_int_t)t->pages_given_back);
}

json_t *sa_run_counters(const sa_runner_counts *c)
{
    const sa_episode_counts *e = &c->of_episodes;
    json_t *counters = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "items", (json_int_t)c->items, "failed",
        (json_int_t)c->failed, "pictures_encoded", (json_int_t)c->pictures, "thoughts",
        (json_int_t)e->thoughts, "clicks", (json_int_t)e->clicks, "answers_retried", (json_int_t)e->retried,
        "answers_failed", (json_int_t)e->failed, "clicks_clamped", (json_int_t)e->clamped, "states",
        (json_int_t)e->nodes, "states_merged", (json_int_t)e->merged);
    json_t *policy = policy_counters(&c->of_policy);
    if (counters == NULL || policy == NULL || json_object_update(counters, policy) != 0) {
        json_decref(counters);
        counters = NULL;
    }
    json_decref(policy);
    return counters;
}
