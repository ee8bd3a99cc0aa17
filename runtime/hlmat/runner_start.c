/* The mask that an episode begins with: none, a given one, or what the segmenter makes of the truth. */
#include "runtime/base/philox.h"
#include "runtime/hlmat/runner_parts.h"

/* Word number `word` of what is random about an item's beginning. */
static uint32_t random_word(const sa_runner *r, const sa_runner_place *p, uint32_t word)
{
    sa_philox block = sa_philox_block(r->options.episode.seed, sa_episode_key_of(p->item->id),
                                      (uint64_t)UINT32_MAX << 32 | word / 4);
    return block.word[word % 4];
}

/* A pixel of the truth, or beside it: the n-th in row-major order. */
static sa_click random_click(const sa_mask *truth, bool positive, uint32_t random)
{
    size_t area = sa_mask_area(truth), count = positive ? area : truth->height * truth->width - area;
    size_t n = (size_t)((uint64_t)random * count >> 32);
    for (size_t y = 0; y < truth->height; y++) {
        for (size_t x = 0; x < truth->width; x++) {
            if (sa_mask_get(truth, x, y) == positive && n-- == 0) {
                return (sa_click){(float)x, (float)y, positive};
            }
        }
    }
    return (sa_click){0, 0, positive};
}

/* The first click is on the object; of the others every other one is beside it, by chance. */
static void choose_start_clicks(const sa_runner *r, sa_runner_place *p)
{
    p->begun.clicks = p->clicks;
    p->begun.click_count = 1 + random_word(r, p, 0) % SA_START_MOST_CLICKS;
    for (uint32_t i = 0; i < p->begun.click_count; i++) {
        bool positive = i == 0 || (random_word(r, p, 1 + 2 * i) & 1) == 0;
        p->clicks[i] = random_click(&p->truth, positive, random_word(r, p, 2 + 2 * i));
    }
}

static void choose_start_box(sa_runner_place *p)
{
    sa_mask_box box = sa_mask_bbox(&p->truth);
    p->begun.has_box = true;
    p->begun.box[0] = (float)box.x;
    p->begun.box[1] = (float)box.y;
    p->begun.box[2] = (float)(box.x + box.width);
    p->begun.box[3] = (float)(box.y + box.height);
}

void sa_runner_choose_start(const sa_runner *r, sa_runner_place *p)
{
    if (r->options.start == SA_START_BOX) {
        choose_start_box(p);
    } else {
        choose_start_clicks(r, p);
    }
}

static sa_status start_from_given(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    if (!sa_runner_feeds_back(r)) {
        return SA_OK;
    }
    SA_TRY(sa_runner_new_state(r, p->item, &p->state, err));
    sa_segmenter_state_from_mask(r->segmenter, &p->mask, p->state);
    return SA_OK;
}

sa_status sa_runner_open_episode(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    bool given = r->options.start != SA_START_EMPTY;
    SA_TRY(r->options.start == SA_START_GIVEN ? start_from_given(r, p, err) : SA_OK);
    const sa_episode_item item = {.id = p->item->id,
                                  .image = p->item->image,
                                  .text = p->item->text,
                                  .picture = &p->picture->image,
                                  .mask = given ? &p->mask : NULL,
                                  .truth = p->truth.bits != NULL ? &p->truth : NULL,
                                  .begun = p->begun};
    float *state = p->state;
    p->state = NULL;
    return sa_episode_open(&p->episode, &r->options.episode, &item, state, err);
}
