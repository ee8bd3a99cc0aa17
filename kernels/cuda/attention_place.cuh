/*
 * attention_place.cuh: where in the map a block of attention_grid works. Device code only.
 *
 * Grid of a launch: x = (image, window, block of queries), the last fastest, y = head. Queries of a window
 * are its real tokens, row by row unless a kernel takes them by strips (query_cell); keys are all S*S,
 * padding included.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_PLACE_CUH
#define SA_KERNELS_CUDA_ATTENTION_PLACE_CUH

#include "kernels/cuda/attention_grid.h"
#include "kernels/cuda/device.cuh"

/* One window and head. */
typedef struct {
    int top, left;    /* of the window in the map */
    int down, across; /* its real tokens */
    size_t token;     /* the image's first */
    int head;
    int tile; /* the block of queries */
} grid_place;

SA_DEVICE grid_place place_of_block(const sa_attention_grid_launch &args)
{
    grid_place place;
    unsigned block = blockIdx.x, windows = args.across * args.across;
    place.tile = block % args.tiles;
    unsigned window = block / args.tiles % windows, image = block / args.tiles / windows;
    place.top = window / args.across * args.size;
    place.left = window % args.across * args.size;
    place.down = min(args.size, args.side - place.top);
    place.across = min(args.size, args.side - place.left);
    place.token = (size_t)image * args.side * args.side;
    place.head = blockIdx.y;
    return place;
}

typedef struct {
    int y, x;
} grid_cell;

/*
 * Where query number `query` < down * across of the window is: row by row through the left STRIP columns,
 * then row by row through those right of them; STRIP 0: row by row.
 */
template <int STRIP> SA_DEVICE grid_cell query_cell(const grid_place &place, int query)
{
    if (STRIP == 0 || place.across <= STRIP) {
        return {query / place.across, query % place.across};
    }
    const int left = STRIP * place.down;
    const bool right = query >= left;
    const int number = right ? query - left : query, width = right ? place.across - STRIP : STRIP;
    return {number / width, number % width + (right ? STRIP : 0)};
}

/* The token at (y, x) of the window. */
SA_DEVICE size_t token_at(const sa_attention_grid_launch &args, const grid_place &place, int y, int x)
{
    return place.token + (size_t)(place.top + y) * args.side + place.left + x;
}

#endif
