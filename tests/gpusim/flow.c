/*
 * The flow of a function: basic blocks, and the order in which fragments of a warp run (sched.h).
 *
 * The order is reverse post-order with the successor that stands later in the text visited first: what stands
 * between a branch and the place where its sides meet again comes before that place, and a loop's body before
 * what follows the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/lower_body.h"

static bool is_op(const ptx_instruction *inst, const char *opcode)
{
    return strcmp(inst->opcode, opcode) == 0;
}

static bool ends_block(const ptx_instruction *inst)
{
    return is_op(inst, "bra") || is_op(inst, "brx") || is_op(inst, "ret") || is_op(inst, "exit");
}

/* Marks the instructions at which a block begins; counts the blocks. */
static uint32_t mark_leaders(const sim_lowering *l, uint8_t *leader)
{
    const ptx_function *f = l->ptx;
    uint32_t count = 0;
    leader[0] = 1;
    for (uint32_t i = 0; i < f->label_count; i++) {
        leader[f->labels[i].at] = 1;
    }
    for (uint32_t i = 0; i < f->code_count; i++) {
        if (ends_block(&f->code[i])) {
            leader[i + 1] = 1;
        }
    }
    for (uint32_t i = 0; i < f->code_count; i++) {
        count += leader[i];
    }
    return count;
}

static bool add_target(sim_lowering *l, sim_flow_block *block, const char *label)
{
    int64_t at = label != NULL ? sim_map_get(&l->labels, label) : -1;
    l->current = &l->ptx->code[block->last - 1];
    if (at < 0) {
        return sim_lower_fail(l, "no label %s", label != NULL ? label : "");
    }
    if ((uint32_t)at < l->ptx->code_count) { /* a label behind the last instruction: the end */
        block->next[block->next_count++] = l->flow.block_of[at];
    }
    return true;
}

/* A branch, and the end of a block, say where control goes. */
static bool link_block(sim_lowering *l, uint32_t index)
{
    sim_flow_block *block = &l->flow.block[index];
    const ptx_instruction *last = &l->ptx->code[block->last - 1];
    const ptx_target_list *list = is_op(last, "brx") ? sim_lower_targets(l, last->operand[1].name) : NULL;
    block->next = sim_arena_take(l->module->arena, (2 + (list ? list->count : 0)) * sizeof(uint32_t));
    if (is_op(last, "bra") && !add_target(l, block, last->operand[0].name)) {
        return false;
    }
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        if (!add_target(l, block, list->targets[i])) {
            return false;
        }
    }
    bool falls = !ends_block(last) || last->guard != NULL;
    if (falls && index + 1 < l->flow.count) {
        block->next[block->next_count++] = index + 1;
    }
    return true;
}

static int later_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* Depth first without recursion: post[] receives blocks as they are left; returns how many were reached. */
static uint32_t post_order(const sim_flow *flow, uint32_t *post)
{
    uint32_t *stack = sim_calloc(flow->count, sizeof *stack), *edge = sim_calloc(flow->count, sizeof *edge);
    uint8_t *seen = sim_calloc(flow->count, 1);
    uint32_t depth = 1, count = 0;
    seen[0] = 1;
    while (depth > 0) {
        uint32_t top = stack[depth - 1];
        const sim_flow_block *block = &flow->block[top];
        if (edge[top] == block->next_count) {
            post[count++] = top;
            depth--;
            continue;
        }
        uint32_t next = block->next[edge[top]++];
        if (!seen[next]) {
            seen[next] = 1;
            stack[depth++] = next;
        }
    }
    free(stack);
    free(edge);
    free(seen);
    return count;
}

/* Ranks of instructions by the post-order of their blocks; blocks that nothing reaches come last. */
static void rank(sim_lowering *l)
{
    const sim_flow *flow = &l->flow;
    uint32_t *post = sim_calloc(flow->count, sizeof *post), at = 0;
    uint32_t *order = sim_arena_take(l->module->arena, (l->ptx->code_count + 1) * sizeof *order);
    for (uint32_t i = post_order(flow, post); i-- > 0;) {
        const sim_flow_block *block = &flow->block[post[i]];
        for (uint32_t k = block->first; k < block->last; k++) {
            order[k] = 1 + at++; /* 0: not reached */
        }
    }
    for (uint32_t i = 0; i <= l->ptx->code_count; i++) {
        order[i] = order[i] != 0 ? order[i] - 1 : at++;
    }
    l->function->order = order;
    free(post);
}

bool sim_flow_make(sim_lowering *l)
{
    uint32_t n = l->ptx->code_count, at = 0;
    uint8_t *leader = sim_calloc(n + 1, 1);
    l->flow.count = mark_leaders(l, leader);
    l->flow.block = sim_arena_take(l->module->arena, l->flow.count * sizeof *l->flow.block);
    l->flow.block_of = sim_arena_take(l->module->arena, n * sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++) {
        at += leader[i] && i > 0;
        if (leader[i]) {
            l->flow.block[at].first = i;
        }
        l->flow.block[at].last = i + 1;
        l->flow.block_of[i] = at;
    }
    free(leader);
    for (uint32_t i = 0; i < l->flow.count; i++) {
        if (!link_block(l, i)) {
            return false;
        }
        qsort(l->flow.block[i].next, l->flow.block[i].next_count, sizeof(uint32_t), later_first);
    }
    rank(l);
    return true;
}
