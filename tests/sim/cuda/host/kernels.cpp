// The device's kernels as C++ for the host: the few words of CUDA that vision.cu uses, the source
// itself, and a loop over the threads of a launch.

#include <math.h>
#include <string.h>

#define __global__
#define __device__

namespace {

struct Index {
    unsigned int x, y, z;
};
thread_local Index gridDim, blockDim, blockIdx, threadIdx;

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline unsigned int __float_as_uint(float value) {
    unsigned int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned int min(unsigned int a, unsigned int b) { return a < b ? a : b; }

}  // namespace

#include "../../../../engines/src/cuda/kernels/vision.cu"

namespace {

template <class Body>
void for_each_thread(const unsigned int* grid, const unsigned int* block, Body body) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    // Blocks run in an order that no kernel may count on: last first.
    for (blockIdx.z = gridDim.z; blockIdx.z-- > 0;)
        for (blockIdx.y = gridDim.y; blockIdx.y-- > 0;)
            for (blockIdx.x = gridDim.x; blockIdx.x-- > 0;)
                for (threadIdx.z = 0; threadIdx.z < blockDim.z; ++threadIdx.z)
                    for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y)
                        for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) body();
}

template <unsigned... I>
struct Sequence {};
template <unsigned N, unsigned... I>
struct Counted : Counted<N - 1, N - 1, I...> {};
template <unsigned... I>
struct Counted<0, I...> {
    using Type = Sequence<I...>;
};

template <class... Arguments, unsigned... I>
void run(void (*kernel)(Arguments...), Sequence<I...>, const unsigned int* grid,
         const unsigned int* block, void* const* arguments) {
    for_each_thread(grid, block, [&] { kernel(*static_cast<Arguments*>(arguments[I])...); });
}

template <class... Arguments>
int launch(void (*kernel)(Arguments...), const unsigned int* grid, const unsigned int* block,
           void* const* arguments, unsigned int count) {
    if (count != sizeof...(Arguments)) return 0;
    run(kernel, typename Counted<sizeof...(Arguments)>::Type(), grid, block, arguments);
    return 1;
}

}  // namespace

// Runs a kernel by its name over a whole grid. `arguments` point to values of the parameters'
// types, addresses already translated. 0 when there is no such kernel or their number is wrong.
extern "C" int masklet_sim_run_kernel(const char* name, const unsigned int* grid,
                                      const unsigned int* block, void* const* arguments,
                                      unsigned int count) {
#define KERNEL(kernel) \
    if (strcmp(name, #kernel) == 0) return launch(kernel, grid, block, arguments, count)
    KERNEL(masklet_resize_columns);
    KERNEL(masklet_resize_rows_normalize);
    KERNEL(masklet_logits_to_bits);
    KERNEL(masklet_round_bf16);
    return 0;
}
