/* Options of the commands that run an agent over items, and what they leave open. */
#include <string.h>

#include "runtime/cli/run_parts.h"

size_t sa_run_options_table(sa_run_options *o, const sa_run_kind *kind, sa_option table[SA_RUN_OPTIONS])
{
    const int64_t most_side = (int64_t)1 << 20;
    const sa_option all[] = {
        {"agent", SA_OPTION_TEXT, &o->agent, "DIR", "the agent: agent.json and its models", NULL, 0, 0},
        {"input", SA_OPTION_TEXT, &o->input, "M",
         "a manifest (JSONL), SegAgent's dataset JSON, RefCOCO refs, COCO instances, or a folder", NULL, 0,
         0},
        {"output", SA_OPTION_TEXT, &o->output, "DIR", "results go there; the same command goes on with it",
         NULL, 0, 0},
        {"images", SA_OPTION_TEXT, &o->images, "DIR",
         "where names of pictures start; default: the input's place", NULL, 0, 0},
        {"instances", SA_OPTION_TEXT, &o->instances, "FILE", "COCO instances that belong to RefCOCO refs",
         NULL, 0, 0},
        {"split", SA_OPTION_TEXT, &o->split, "NAME", "only RefCOCO refs of this split", NULL, 0, 0},
        {"limit", SA_OPTION_INTEGER, &o->limit, "N", "only the first N items; 0 takes all", "0", 0,
         INT64_MAX},
        {"shard", SA_OPTION_TEXT, &o->shard, "I/N|slurm",
         "only part I of N, from 0, with an --output of its own; `segagent merge` joins them. slurm: that of "
         "this task of a job array, such as --output parts/$SLURM_ARRAY_TASK_ID",
         NULL, 0, 0},
        {"batch", SA_OPTION_INTEGER, &o->batch, "N",
         "most that a model does at a time; 0: 16 on a CPU, the most of 64, 32, ... that fit on a GPU", "0",
         0, 4096},
        {"in-flight", SA_OPTION_INTEGER, &o->in_flight, "N", "items at work; 0: twice the batch", "0", 0,
         1000000},
        {"kv-pages", SA_OPTION_INTEGER, &o->kv_pages, "N",
         "pages of 16 tokens that the policy keeps; 0: as many as suit the batch", "0", 0, 100000000},
        {"max-pixels", SA_OPTION_INTEGER, &o->max_pixels, "N", "most pixels of a picture", "16777216", 1,
         most_side * most_side},
        {"max-side", SA_OPTION_INTEGER, &o->max_side, "N", "most pixels of a side", "65535", 1, most_side},
        {"dry-run", SA_OPTION_FLAG, &o->dry_run, NULL,
         "check every input and the models, say what memory they take, and end", NULL, 0, 0},
        {"grammar", SA_OPTION_CHOICE, &o->form, "check|strict|off",
         "check: what answers have in common is guessed, many tokens a pass, and taken where the policy says "
         "so "
         "too; an answer that is none is asked for again in the agent's form. strict: answers have no choice "
         "but "
         "in their words and numbers. off: one token a pass, nothing is asked for again",
         "check", 0, 0},
        {"workers", SA_OPTION_INTEGER, &o->workers, "N",
         "processes, which share the processors, or take the devices of --device cuda:0-7 in turn; 0: one a "
         "device",
         "0", 0, 256},
        {"worker-timeout", SA_OPTION_REAL, &o->worker_timeout, "SECONDS",
         "a worker that says nothing for so long is started again; 0: 300", "0", 0, 1000000},
        {"queue", SA_OPTION_TEXT, &o->queue, "URL",
         "redis://HOST/NAME: items go over many machines through a Redis server. With --output this process "
         "hands "
         "them out and writes the results, without it computes",
         NULL, 0, 0},
        {"profile", SA_OPTION_FLAG, &o->profile, NULL,
         "tell where the time went, how full batches were, and what was not computed twice", NULL, 0, 0},
        {"costs", SA_OPTION_TEXT, &o->costs, "NAME|FILE",
         "of --device null: these models on an a100 or h100 at its peaks' share, segagent-qwen-a100 or "
         "-h100, "
         "or a file of lines STAGE BATCH MS; default: h100",
         NULL, 0, 0},
        {"steps", SA_OPTION_INTEGER, &o->steps, "T", "most clicks in a row; 0: the agent's", "0", 0, 1000},
        {"temperature", SA_OPTION_REAL, &o->temperature, "X",
         "of all candidates of a state but the first, the likeliest; default: the agent's, or 1 where there "
         "are candidates to sample",
         NULL, 0, 100},
        {"trace", SA_OPTION_FLAG, &o->trace, NULL, "results tell the whole search, not the kept line alone",
         NULL, 0, 0},
        {"search", SA_OPTION_CHOICE, &o->search, "greedy|prm-stop|prm-greedy|beam|best-first|mcts",
         "how states are searched; default: the agent's", NULL, 0, 0},
        {"candidates", SA_OPTION_INTEGER, &o->candidates, "K", "clicks tried in a state; 0: the agent's", "0",
         0, 256},
        {"beam", SA_OPTION_INTEGER, &o->beam, "N", "states kept at each depth; 0: as many as candidates", "0",
         0, 4096},
        {"budget", SA_OPTION_INTEGER, &o->budget, "N",
         "most clicks of an item in all; 0: steps times candidates for best-first and mcts, else no limit",
         "0", 0, 1000000},
        {"seconds", SA_OPTION_REAL, &o->seconds, "X",
         "most time of an item, 0 for no limit; its result then depends on the machine", "0", 0, 1000000},
        {"patience", SA_OPTION_INTEGER, &o->patience, "N",
         "prm-stop and prm-greedy end after N steps without a better score; 0: never", "0", 0, 1000},
        {"exploration", SA_OPTION_REAL, &o->exploration, "X", "mcts: worth of states that were seldom tried",
         "0.3", 0, 100},
        {"score", SA_OPTION_CHOICE, &o->score, "expected|printed|segmenter|truth",
         "what masks are judged by: the policy's IoU (expected over its tokens, or as printed), the "
         "segmenter's, "
         "or the true one; default: expected, or segmenter for an agent without a PRM",
         NULL, 0, 0},
        {"policy", SA_OPTION_CHOICE, &o->policy, "model|annotator|random",
         "who clicks: the agent's model, the simulated annotator (needs \"gt\"), or nobody in particular",
         "model", 0, 0},
    };
    enum { SHARED = 20, WITH_STEPS = 23 }; /* rows up to "costs", and up to "trace" */
    size_t count = kind->judges_only      ? SHARED
                   : kind->policy != NULL ? WITH_STEPS
                                          : sizeof all / sizeof all[0];
    _Static_assert(sizeof all / sizeof all[0] == SA_RUN_OPTIONS, "the table's size");
    memcpy(table, all, count * sizeof *all);
    return count;
}

sa_status sa_run_need(const char *value, const char *name, sa_error *err)
{
    return value != NULL ? SA_OK : sa_fail(err, SA_BAD_USAGE, name, "see --help", "it is not given");
}

/* A choice of SA_OPTION_CHOICE as its place in the list. */
static int place_in(const char *value, const char *const *list)
{
    int i = 0;
    while (list[i] != NULL && strcmp(list[i], value) != 0) {
        i++;
    }
    SA_ASSERT(list[i] != NULL);
    return i;
}

/* What the command line leaves open is the agent's. */
void sa_run_complete(sa_run_options *o, const sa_run_kind *kind, sa_agent *agent)
{
    bool fixed = kind->policy != NULL;
    o->search = fixed ? "greedy" : o->search != NULL ? o->search : agent->search;
    o->score = fixed ? "truth" : o->score != NULL ? o->score : agent->judges ? "expected" : "segmenter";
    o->policy = fixed ? kind->policy : o->policy != NULL ? o->policy : "model";
    o->start = o->start != NULL ? o->start : "empty";
    o->steps = kind->judges_only ? 0 : o->steps != 0 ? o->steps : agent->steps;
    o->candidates = fixed ? 1 : o->candidates != 0 ? o->candidates : agent->candidates;
    if (kind->judges_only) {
        o->search = "greedy";
    }
    if (o->temperature < 0) {
        o->temperature = agent->temperature == 0 && o->candidates > 1 ? 1 : agent->temperature;
    }
    agent->temperature = o->temperature;
}

sa_status sa_run_check(const sa_run_options *o, const sa_run_kind *kind, const sa_agent *agent, sa_error *err)
{
    bool by_model = strcmp(o->score, "expected") == 0 || strcmp(o->score, "printed") == 0;
    if (!sa_search_exists(o->search)) {
        return sa_fail(err, SA_BAD_INPUT, agent->file, sa_search_list(), "\"%s\" is no search", o->search);
    }
    if (kind->judges_only && !agent->judges) {
        return sa_fail(err, SA_BAD_USAGE, "--agent", "use an agent with \"prm\"",
                       "the agent %s does not judge masks", agent->name);
    }
    if (by_model && !agent->judges && sa_search_needs_scores(o->search)) {
        return sa_fail(err, SA_BAD_USAGE, "--score", "give --score segmenter, or an agent with \"prm\"",
                       "the agent %s does not judge masks", agent->name);
    }
    if (o->temperature > 0 && o->temperature < SA_SAMPLE_COLDEST) {
        return sa_fail(err, SA_BAD_USAGE, "--temperature", "use 0 for the likeliest click",
                       "%g is too near to 0", o->temperature);
    }
    return SA_OK;
}

sa_runner_options sa_run_runner_options(const sa_run_job *j, sa_dtype precision)
{
    static const char *const policies[] = {"model", "annotator", "random", NULL};
    static const char *const forms[] = {"check", "strict", "off", NULL};
    static const char *const starts[] = {"empty", "given", "box", "clicks", NULL};
    static const char *const scores[] = {"expected", "printed", "segmenter", "truth", NULL};
    const sa_run_options *o = j->options;
    sa_policy policy = (sa_policy)place_in(o->policy, policies);
    sa_scorer score = (sa_scorer)place_in(o->score, scores);
    const sa_search_options search = {.steps = (size_t)o->steps,
                                      .candidates = (size_t)o->candidates,
                                      .beam = (size_t)o->beam,
                                      .budget = (size_t)o->budget,
                                      .patience = (size_t)o->patience,
                                      .exploration = o->exploration,
                                      .enough = o->enough != 0 ? o->enough : 2,
                                      .score = score};
    return (sa_runner_options){
        .precision = precision,
        .batch = (size_t)o->batch,
        .in_flight = (size_t)o->in_flight,
        .kv_pages = (size_t)o->kv_pages,
        .sharers = o->sharers,
        .max_pixels = (size_t)o->max_pixels,
        .max_side = (size_t)o->max_side,
        .seconds = o->seconds,
        .start = j->kind->uses_mask ? SA_START_GIVEN : (sa_runner_start)place_in(o->start, starts),
        .uses_truth = true,
        .needs_truth = j->kind->needs_truth || policy == SA_POLICY_ANNOTATOR || score == SA_SCORE_TRUTH,
        .episode = {.agent = &j->agent,
                    .policy = j->kind->judges_only ? SA_POLICY_RANDOM : policy,
                    .search = o->search,
                    .options = search,
                    .judged = policy == SA_POLICY_MODEL && j->kind->policy == NULL,
                    .seed = (uint64_t)j->cli->common.seed,
                    .form = (sa_form)place_in(o->form, forms),
                    .trace = o->trace},
    };
}
