// printf, assert and the heap of device code.
#include <cassert>
#include <cstdio>

extern "C" __global__ void say(int n, double x, const char *, long long big)
{
    if (threadIdx.x == 3) {
        printf("n %d, x %.3f, hex %#llx, %s, %c, %5.1f%%, %-4d|%*d|%p\n", n, x, big, "text", 'z', 12.34f, -7,
               6, 42, (void *)0x1234);
        printf("no arguments\n");
    }
}

extern "C" __global__ void claim(const int *p, int limit)
{
    assert(p[threadIdx.x] < limit);
}

struct node {
    node *next;
    int value;
};

// A list of blockDim.x nodes made and taken apart again; its sum.
extern "C" __global__ void heap(int *sum)
{
    __shared__ node *head[64];
    node *mine = (node *)malloc(sizeof(node));
    mine->value = threadIdx.x + 1;
    head[threadIdx.x] = mine;
    __syncthreads();
    mine->next = threadIdx.x ? head[threadIdx.x - 1] : nullptr;
    __syncthreads();
    if (threadIdx.x == blockDim.x - 1) {
        int total = 0;
        for (node *n = mine; n; n = n->next) {
            total += n->value;
        }
        sum[blockIdx.x] = total;
    }
    __syncthreads();
    free(mine);
}

extern "C" __global__ void free_twice()
{
    void *p = malloc(16);
    free(p);
    free(p);
}
