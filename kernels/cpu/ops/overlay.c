/* overlay on the CPU. Contract in kernels.h. A task is one row: copied, then painted where the mask is set.
 */
#include "kernels/cpu/ops/vec.h"

static void overlay_task(void *context, size_t r, int worker)
{
    (void)worker;
    const sa_overlay_args *args = context;
    size_t words = (args->width + 63) / 64, row = args->width * 3;
    uint8_t *y = args->y + r * row;
    if (y != args->pixels + r * row) {
        memcpy(y, args->pixels + r * row, row);
    }
    for (size_t i = 0; i < words; i++) {
        for (uint64_t bits = args->bits[r * words + i]; bits != 0; bits &= bits - 1) {
            uint8_t *pixel = y + (i * 64 + (size_t)__builtin_ctzll(bits)) * 3;
            for (int c = 0; c < 3; c++) {
                pixel[c] = args->table[c][pixel[c]];
            }
        }
    }
}

void SA_CPU(overlay)(sa_stream *stream, const sa_overlay_args *args);
void SA_CPU(overlay)(sa_stream *stream, const sa_overlay_args *args)
{
    sa_pool_run(stream->pool, args->height, overlay_task, (void *)args);
}
