#include "tests/models/llama_rig.h"

#include "tests/check.h"
#include "tests/kernels/fixture.h"

llama_rig llama_rig_open(const char *path, const sa_llama_options *options, const char *isa, int threads)
{
    llama_rig r;
    sa_error err;
    sa_device_options device = {.name = test_device(), .threads = threads, .isa = isa};
    sa_llama_options filled = *options;
    filled.items = options->items != 0 ? options->items : RIG_SEQUENCES;
    must(sa_device_open(&r.device, &device, &err), &err);
    must(sa_llama_open(&r.llama, r.device, path, &filled, &err), &err);
    must(sa_kv_open(&r.kv, sa_llama_pages(r.llama), RIG_SEQUENCES, sa_llama_context(r.llama), &err), &err);
    r.vocabulary = sa_llama_get_config(r.llama)->vocabulary;
    return r;
}

void llama_rig_close(llama_rig *r)
{
    sa_kv_check(r->kv);
    sa_kv_close(r->kv);
    sa_llama_close(r->llama);
    sa_device_close(r->device);
}

sa_kv_sequence llama_rig_begin(llama_rig *r)
{
    sa_error err;
    sa_kv_sequence sequence;
    must(sa_kv_create(r->kv, &sequence, &err), &err);
    return sequence;
}

sa_status llama_rig_forward(llama_rig *r, const llama_rig_part *parts, size_t count, sa_error *err)
{
    sa_llama_item items[RIG_SEQUENCES];
    assert_true(count <= RIG_SEQUENCES);
    for (size_t i = 0; i < count; i++) {
        sa_kv_copy copy;
        items[i] = (sa_llama_item){.start = sa_kv_length(r->kv, parts[i].sequence),
                                   .count = parts[i].count,
                                   .tokens = parts[i].tokens,
                                   .embeddings = parts[i].embeddings,
                                   .logits = parts[i].logits};
        SA_TRY(sa_kv_append(r->kv, parts[i].sequence, parts[i].count, &copy, err));
        if (copy.from >= 0) {
            sa_llama_copy_page(r->llama, copy.from, copy.to);
        }
    }
    for (size_t i = 0; i < count; i++) { /* now that all lists are as they stay */
        items[i].pages = sa_kv_pages(r->kv, parts[i].sequence);
        items[i].shared = i > 0 ? sa_kv_common(r->kv, parts[i - 1].sequence, parts[i].sequence) : 0;
    }
    return sa_llama_forward(r->llama, items, count, err);
}

void llama_rig_append(llama_rig *r, sa_kv_sequence sequence, const int32_t *tokens, size_t count,
                      size_t piece, float *logits)
{
    sa_error err;
    for (size_t done = 0; done < count;) {
        size_t part = piece != 0 && piece < count - done ? piece : count - done;
        size_t wanted = logits != NULL ? part : (done + part == count);
        llama_rig_part one = {.sequence = sequence, .tokens = tokens + done, .count = part, .logits = wanted};
        must(llama_rig_forward(r, &one, 1, &err), &err);
        if (logits != NULL) {
            must(sa_llama_read_logits(r->llama, 0, part, logits + done * r->vocabulary, &err), &err);
        }
        done += part;
    }
    sa_kv_check(r->kv);
}

void llama_rig_continue(llama_rig *r, sa_kv_sequence sequence, const sa_sample_choice *choice, size_t count,
                        int32_t *tokens, float *logprobs)
{
    sa_error err;
    for (size_t i = 0; i < count; i++) {
        must(sa_llama_sample(r->llama, choice, &tokens[i], &logprobs[i], &err), &err);
        llama_rig_append(r, sequence, &tokens[i], 1, 0, NULL);
    }
}
