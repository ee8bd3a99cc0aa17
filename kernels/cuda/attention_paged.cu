/*
 * attention_paged in bf16, and in f16 for attention_paged_f16.cu. Contract in kernels.h, the order of work in
 * attention_paged.h.
 *
 *   page lists -> list of pages in shared memory -> 64 keys a stage by cp.async -> scores of the stage
 *   (add_products) -> page by page: soften, p.v -> a split's end: paged_merge -> out, or partial results
 *
 * Grid (blocks of all items, kv heads), block 128: four warps with 16 rows each. In decode with one head a
 * group most of a warp's rows are idle and three warps only copy: the block waits for memory anyway.
 * Moves the pages of a run of items once, 2*d*size bytes a key and kv head; of a larger item once for each 64
 * rows that see them. A split's partial results are 4*(d + 2) bytes for each query and head.
 */
#include "kernels/cuda/attention_paged.cuh"
#include "kernels/cuda/attention_range.cuh"

enum { STAGE_PAGES = RANGE_KEYS / SA_KV_PAGE };

typedef struct {
    int item; /* -1: none */
    int query, head, limit;
} paged_row;

template <int D> struct paged_shared {
    range_shared<D> range;
    uint32_t page[PAGED_LIST]; /* numbers in the pools */
    uint32_t info[PAGED_LIST]; /* listed_page */
    paged_row rows[PAGED_ROWS];
    paged_merged merged[PAGED_ROWS]; /* of the splits so far */
};

/* A page of the list, packed into 32 bits: its rows are [begin, end) of the block's, its first key is
 * `number` pages after the list's, `valid` keys of it are there. */
typedef struct {
    int begin, end, number, valid;
} listed_page;

SA_DEVICE uint32_t pack_page(const listed_page &page)
{
    return page.begin | page.end << 7 | page.valid << 14 | page.number << 19;
}

SA_DEVICE listed_page unpack_page(uint32_t info)
{
    return {(int)(info & 127), (int)(info >> 7 & 127), (int)(info >> 19), (int)(info >> 14 & 31)};
}

/* ---- what a block works on ---- */

/* Pages of the item in a split: those that it shares with the item before it, and the others. */
SA_DEVICE void split_pages(const sa_paged_item &item, int split, int *shared, int *own)
{
    const int first = split * PAGED_SPLIT_PAGES;
    const int all = min(max(paged_pages(item) - first, 0), (int)PAGED_SPLIT_PAGES);
    *shared = min(max((int)item.shared - first, 0), all);
    *own = all - *shared;
}

/* Whether item `i` is worked on together with the one before it: where that saves more reading than it
 * lengthens the block's work. */
SA_DEVICE bool joins(const sa_paged_launch &args, int i, int split)
{
    int shared, own;
    split_pages(args.items[i], split, &shared, &own);
    return shared > 0 && own <= shared;
}

/* The end of the run that begins with work.item. */
SA_DEVICE int end_of_run(const sa_paged_launch &args, const paged_work &work)
{
    int end = work.item + 1;
    while (end < args.count && joins(args, end, work.split)) {
        end++;
    }
    return end;
}

/* Thread r describes row r of the block. Returns how many rows there are. */
SA_DEVICE int list_rows(paged_row *rows, paged_merged *merged, const sa_paged_launch &args,
                        const paged_work &work)
{
    const int group = paged_group(args), tile = work.tile * PAGED_ROWS, row = threadIdx.x;
    paged_row mine = {-1, 0, 0, INT32_MAX / 2}; /* sees all, as far as anybody cares */
    int begin = 0;
    for (int i = work.item; i < work.end; i++) {
        const sa_paged_item &item = args.items[i];
        int count = min(paged_rows(args, item) - tile, (int)PAGED_ROWS);
        if (row >= begin && row < begin + count) {
            int query = (tile + row - begin) / group;
            mine = {i, query, (int)blockIdx.y * group + (tile + row - begin) % group,
                    paged_limit(item, query)};
        }
        begin += count;
    }
    if (row < PAGED_ROWS) {
        rows[row] = mine;
        merged[row] = paged_merge_begin();
    }
    return begin;
}

/*
 * Pages [first, last) of the run into the list: of each item those that it does not share with the one
 * before it. A page belongs to its item's rows and to those of the items after it that share it. Returns how
 * many there are.
 */
template <int D>
SA_DEVICE int list_pages(paged_shared<D> *shared, const sa_paged_launch &args, const paged_work &work,
                         int first, int last)
{
    int listed = 0, begin = 0;
    for (int i = work.item; i < work.end; i++) {
        const sa_paged_item &item = args.items[i];
        const int rows = min(paged_rows(args, item) - work.tile * PAGED_ROWS, (int)PAGED_ROWS);
        const int from = i == work.item ? first : max(first, (int)item.shared);
        const int count = max(min(last, paged_pages(item)) - from, 0);
        for (int j = threadIdx.x; j < count; j += PAGED_THREADS) {
            const int page = from + j;
            int end = begin + rows, keys = item.k_count;
            for (int k = i + 1; k < work.end && (int)args.items[k].shared > page; k++) {
                end += paged_rows(args, args.items[k]);
                keys = max(keys, (int)args.items[k].k_count);
            }
            shared->page[listed + j] = args.pages[item.first_page + page];
            shared->info[listed + j] =
                pack_page({begin, end, page - first, min(keys - page * SA_KV_PAGE, (int)SA_KV_PAGE)});
        }
        listed += count;
        begin += rows;
    }
    return listed;
}

/* ---- copies ---- */

/* Pages `page` to `page` + 3 of the list into a stage, zeros where there is no key (0 * what stood there
 * could be NaN). */
template <int D>
SA_DEVICE void copy_pages(uint32_t stage, const sa_paged_launch &args, const paged_shared<D> *shared,
                          int page, int listed)
{
#pragma unroll 2 /* more would need more registers than there are */
    for (int i = 0; i < RANGE_KEYS * (D / 8) / PAGED_THREADS; i++) {
        const int index = i * PAGED_THREADS + threadIdx.x, row = index / (D / 8), chunk = index % (D / 8);
        const int at = page + row / SA_KV_PAGE, place = row % SA_KV_PAGE;
        const uint32_t to = stage + tile_offset<D>(row, chunk);
        if (at < listed && place < unpack_page(shared->info[at]).valid) {
            const size_t token = ((size_t)shared->page[at] * args.kv_heads + blockIdx.y) * SA_KV_PAGE + place;
            const int left = args.head_dim - chunk * 8;
            /* Past the end of the head nothing is read, but the place exists. */
            const size_t from = token * args.head_dim + (left > 0 ? chunk * 8 : 0);
            load_chunk(to, (const uint16_t *)args.k_pages + from, left, args.vector);
            load_chunk(to + RANGE_KEYS * D * 2, (const uint16_t *)args.v_pages + from, left, args.vector);
        } else {
            const uint32_t zeros[4] = {0, 0, 0, 0};
            store_chunk(to, zeros);
            store_chunk(to + RANGE_KEYS * D * 2, zeros);
        }
    }
}

/* ---- arithmetic ---- */

/* Scores of keys that a row does not see get no weight: below even the peak of no keys. */
SA_DEVICE void hide_scores(float (&score)[1][2][4], int key, const int (&limit)[2])
{
    const int t = lane_id() % 4;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if (key + i / 4 * 8 + t + i % 2 * 4 > limit[i % 4 / 2]) {
            score[0][i / 4][i % 4] = 2.0f * HIDDEN;
        }
    }
}

/* out += p.v for the rows whose page it is. For the others p is 0, but 0 * v may be NaN: theirs stay. */
template <int D>
SA_DEVICE void add_own_values(attend_state<D, 1> &state, const float (&p)[1][2][4], uint32_t values,
                              const bool (&own)[2])
{
    const int lane = lane_id();
    const uint32_t first = values + tile_offset<D>(lane / 8 % 2 * 8 + key_place(lane % 8), lane / 16);
    const uint32_t a[4] = {round_pair(p[0][0][0], p[0][0][1]), round_pair(p[0][0][2], p[0][0][3]),
                           round_pair(p[0][1][0], p[0][1][1]), round_pair(p[0][1][2], p[0][1][3])};
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
        uint32_t v[4];
        ldmatrix_x4_trans(v, chunk_pair<D>(first, n / 2));
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float *out = state.out[0][n + i], sum[4] = {out[0], out[1], out[2], out[3]};
            mma_tile(sum, a, v + 2 * i);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                out[j] = own[j / 2] ? sum[j] : out[j];
            }
        }
    }
}

/* One page, whose first key is number `key` and stands at `keys`; `rows` are the warp's. */
template <int D, bool WHOLE>
SA_DEVICE void attend_page(attend_state<D, 1> &state, const uint32_t (&q)[D / 16][4], const paged_row *rows,
                           const listed_page &page, int key, uint32_t keys, float scale)
{
    bool own[2];
    int limit[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = lane_id() / 4 + 8 * r, in_block = threadIdx.x / 32 * 16 + row;
        own[r] = WHOLE || (in_block >= page.begin && in_block < page.end);
        limit[r] = own[r] ? rows[row].limit : -1; /* read anew each time: registers are full */
    }
    if (__all_sync(FULL_WARP, key > limit[0] && key > limit[1])) {
        return; /* nobody here sees any of it: nothing would change */
    }
    float score[1][2][4] = {};
    add_products<D, 2>(score, q, keys);
    const uint32_t values = keys + RANGE_KEYS * D * 2;
    if (__any_sync(FULL_WARP, key + SA_KV_PAGE - 1 > min(limit[0], limit[1]))) {
        hide_scores(score, key, limit);
    }
    const float none[1][2] = {{0.0f, 0.0f}};
    soften<D, 1, 2>(score, state, none, scale);
    if (WHOLE || __all_sync(FULL_WARP, own[0] && own[1])) {
        add_values<D, 1, 2>(state, score, values);
    } else {
        add_own_values<D>(state, score, values, own);
    }
}

/* Takes the split in `state` into the sums of the splits so far, and begins the next. `rows`: the warp's. */
template <int D>
SA_DEVICE void merge_split(float (&sums)[D / 8][4], paged_merged *rows, attend_state<D, 1> &state,
                           float scale)
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = lane_id() / 4 + 8 * r;
        paged_merged merged = rows[row]; /* in shared memory: registers are full */
        float peak = state.peak[0][r], total = warp_sum<4>(state.total[0][r]);
        __syncwarp(); /* the row's four lanes have read it */
        if (peak == PAGED_NONE && total == 0.0f) {
            continue; /* the row sees no key of this split */
        }
        paged_weights weights = paged_merge(merged, peak, total, scale);
#pragma unroll
        for (int n = 0; n < 2 * (D / 8); n++) {
            float *sum = &sums[n / 2][2 * r + n % 2];
            *sum = paged_merge_sum(weights, *sum, state.out[0][n / 2][2 * r + n % 2]);
        }
        if (lane_id() % 4 == 0) {
            rows[row] = merged;
        }
    }
    __syncwarp(); /* what was written is there for the next one */
    attend_begin(state);
}

/*
 * The listed pages, whose first key is `first_key`; a split that ends among them is merged. Stages are
 * overwritten one barrier after they were read; the caller's barrier stands before the first copy.
 */
template <int D, bool WHOLE>
SA_DEVICE void attend_pages(float (&sums)[D / 8][4], attend_state<D, 1> &state,
                            const uint32_t (&q)[D / 16][4], paged_shared<D> *shared,
                            const sa_paged_launch &args, int listed, int first_key, bool busy)
{
    const int warp = threadIdx.x / 32;
    constexpr int stages = range_shared<D>::stages;
    constexpr uint32_t stage_bytes = 2 * RANGE_KEYS * D * 2;
    const uint32_t range = shared_address(&shared->range);
    const int tiles = (listed + STAGE_PAGES - 1) / STAGE_PAGES;
#pragma unroll
    for (int i = 0; i < stages - 1; i++) {
        if (i < tiles) {
            copy_pages<D>(range + i * stage_bytes, args, shared, i * STAGE_PAGES, listed);
        }
        cp_async_commit();
    }
#pragma unroll 1
    for (int tile = 0; tile < tiles; tile++) {
        const int next = tile + stages - 1;
        const uint32_t stage = range + tile % stages * stage_bytes;
        cp_async_wait<stages - 2>();
        __syncthreads(); /* everybody's part of this tile is here, and the stage before it is free */
        if (next < tiles) {
            copy_pages<D>(range + next % stages * stage_bytes, args, shared, next * STAGE_PAGES, listed);
        }
        cp_async_commit(); /* one group a tile, if empty, so that the wait counts right */
        if (!busy) {
            continue;
        }
#pragma unroll 1 /* the sums leave no registers for more than one page's scores */
        for (int i = 0; i < min(STAGE_PAGES, listed - tile * STAGE_PAGES); i++) {
            const listed_page page = unpack_page(shared->info[tile * STAGE_PAGES + i]);
            attend_page<D, WHOLE>(state, q, shared->rows + warp * 16, page,
                                  first_key + page.number * SA_KV_PAGE, stage + i * SA_KV_PAGE * D * 2,
                                  args.scale);
        }
        if (WHOLE && (tile + 1) % (PAGED_SPLIT / RANGE_KEYS) == 0) {
            merge_split<D>(sums, shared->merged + warp * 16, state, args.scale);
        }
    }
    cp_async_wait<0>();
}

/* ---- rows between registers and memory ---- */

SA_DEVICE void store_pair(uint16_t *to, uint32_t pair, bool whole)
{
    if (whole) {
        *(uint32_t *)to = pair;
    } else {
        to[0] = (uint16_t)pair;
        to[1] = (uint16_t)(pair >> 16);
    }
}

/* The warp's queries into 16 rows of shared memory at `to`, zeros where there is none; asynchronous at best.
 */
template <int D> SA_DEVICE void copy_queries(uint32_t to, const sa_paged_launch &args, const paged_row *rows)
{
#pragma unroll 1
    for (int i = lane_id(); i < 16 * (D / 8); i += 32) {
        const paged_row row = rows[i / (D / 8)];
        const int chunk = i % (D / 8), left = row.item >= 0 ? args.head_dim - chunk * 8 : 0;
        const uint16_t *from = (const uint16_t *)args.q;
        if (left > 0) {
            from += (args.items[row.item].q_row + (size_t)row.query) * args.ldq +
                    (size_t)row.head * args.head_dim + chunk * 8;
        }
        load_chunk(to + tile_offset<D>(i / (D / 8), chunk), from, left, args.vector_q);
    }
}

/* The results of the rows of which no other block has more splits. */
template <int D, bool WHOLE>
SA_DEVICE void store_rows(const float (&sums)[D / 8][4], const paged_merged *merged,
                          const sa_paged_launch &args, const paged_row *rows)
{
    const int g = lane_id() / 4, t = lane_id() % 4, left = args.head_dim - 2 * t; /* head_dim is even */
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const paged_row row = rows[g + 8 * r];
        if (row.item < 0 || (!WHOLE && paged_splits(args.items[row.item]) > 1)) {
            continue;
        }
        const float inverse = __frcp_rn(merged[g + 8 * r].total);
        uint16_t *to = (uint16_t *)args.out + (args.items[row.item].q_row + (size_t)row.query) * args.ldo +
                       (size_t)row.head * args.head_dim + 2 * t;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            if (n * 8 < left) {
                store_pair(to + n * 8, round_pair(sums[n][2 * r] * inverse, sums[n][2 * r + 1] * inverse),
                           args.pairs);
            }
        }
    }
}

/* One split's sums of the other rows, for the combining kernel. */
template <int D>
SA_DEVICE void store_partials(const attend_state<D, 1> &state, const sa_paged_launch &args,
                              const paged_row *rows, int split)
{
    const int g = lane_id() / 4, t = lane_id() % 4, left = args.head_dim - 2 * t; /* head_dim is even */
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const paged_row row = rows[g + 8 * r];
        float total = warp_sum<4>(state.total[0][r]);
        if (row.item < 0 || paged_splits(args.items[row.item]) == 1) {
            continue;
        }
        const sa_paged_item &item = args.items[row.item];
        const size_t at = paged_partial(item, row.head, split, row.query);
        float *sums = args.partials + item.partial + at * args.head_dim + 2 * t;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            if (n * 8 < left) {
                *(float2 *)(sums + n * 8) = make_float2(state.out[0][n][2 * r], state.out[0][n][2 * r + 1]);
            }
        }
        if (t == 0) {
            *(float2 *)(paged_state(args, item) + 2 * at) = make_float2(state.peak[0][r], total);
        }
    }
}

/* WHOLE: of items that have a block for each of their tiles of rows, not for each split. */
template <int D, bool WHOLE> SA_DEVICE void attend_paged(const sa_paged_launch &args, unsigned char *memory)
{
    paged_shared<D> *shared = (paged_shared<D> *)memory;
    paged_work work = paged_work_of_block(args);
    if (!WHOLE) {
        if (work.item > 0 && joins(args, work.item, work.split)) {
            return; /* another block's */
        }
        work.end = end_of_run(args, work);
    }
    const int count = list_rows(shared->rows, shared->merged, args, work);
    __syncthreads(); /* the rows are described */
    const int warp = threadIdx.x / 32;
    const paged_row *rows = shared->rows + warp * 16;
    /* Queries pass through the last stage, which is the last to be filled. */
    constexpr uint32_t last_stage = (range_shared<D>::stages - 1) * 2 * RANGE_KEYS * D * 2;
    const uint32_t queries = shared_address(&shared->range) + last_stage + warp * 16 * D * 2;
    copy_queries<D>(queries, args, rows);
    cp_async_commit();
    uint32_t q[D / 16][4];
    attend_state<D, 1> state;
    attend_begin(state);
    float sums[D / 8][4] = {};
#pragma unroll 1
    for (int first = work.split * PAGED_SPLIT_PAGES; first < work.last_page; first += PAGED_SPAN) {
        __syncthreads(); /* nobody reads the list or a stage any more */
        const int listed = list_pages<D>(shared, args, work, first, min(first + PAGED_SPAN, work.last_page));
        __syncthreads(); /* the list is there */
        if (first == work.split * PAGED_SPLIT_PAGES) {
            cp_async_wait<0>();
            __syncwarp(); /* a warp's queries are copied by its own lanes */
            load_queries<D>(q, queries);
        }
        attend_pages<D, WHOLE>(sums, state, q, shared, args, listed, first * SA_KV_PAGE, warp * 16 < count);
    }
    if (!WHOLE) {
        store_partials<D>(state, args, rows, work.split);
    }
    merge_split<D>(sums, shared->merged + warp * 16, state, args.scale);
    store_rows<D, WHOLE>(sums, shared->merged + warp * 16, args, rows);
}

#define ENTRY(name, D, WHOLE)                                                                                \
    extern "C" __global__ void __launch_bounds__(PAGED_THREADS, 2)                                           \
        ATTENTION_KERNEL(attention_##name##_##D)(const __grid_constant__ sa_paged_launch args)               \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_paged<D, WHOLE>(args, shared);                                                                \
    }

ENTRY(paged, 32, false)
ENTRY(paged, 64, false)
ENTRY(paged, 128, false)
ENTRY(paged_whole, 32, true)
ENTRY(paged_whole, 64, true)
ENTRY(paged_whole, 128, true)
