// What happens to a frame and to a mask on the device: 8-bit resize and normalisation before the
// image encoder, upsampling, thresholding and bit packing after the mask decoder.
//
// Every kernel equals its CPU counterpart bit for bit, so no operation here may be fused or
// reordered: floats are multiplied, added and divided by the explicitly rounded intrinsics. Every
// thread works alone (no shared memory, no shuffles): the reads of neighbouring threads overlap in
// the L1 cache, and the same source compiles as C++ for the simulated device.
//
// vision.ptx is compiled from this file by tools/kernels. Run that after a change.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

// Horizontal half of the resize: rows of `width` RGB pixels to rows of `size` RGB pixels.
//
//   source   (height, width, 3) u8          target   (height, size, 3) u8
//   starts   (size) first source column of every output column
//   counts   (size) number of taps of every output column, at most `window`
//   weights  (size, window) fixed-point weights with `precision` fractional bits
//
// One thread per output pixel: x over `size`, y over `height`.
extern "C" __global__ void masklet_resize_columns(const u8* source, u8* target, const u32* starts,
                                                  const u32* counts, const short* weights,
                                                  u32 window, u32 precision, u32 width, u32 height,
                                                  u32 size) {
    const u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= size || y >= height) return;
    const u8* pixel = source + ((u64)y * width + starts[x]) * 3;
    const short* weight = weights + (u64)x * window;
    const u32 count = counts[x];
    int red = 1 << (precision - 1);
    int green = red;
    int blue = red;
    for (u32 tap = 0; tap < count; ++tap, pixel += 3) {
        const int w = weight[tap];
        red += w * pixel[0];
        green += w * pixel[1];
        blue += w * pixel[2];
    }
    u8* out = target + ((u64)y * size + x) * 3;
    out[0] = (u8)min(max(red >> precision, 0), 255);
    out[1] = (u8)min(max(green >> precision, 0), 255);
    out[2] = (u8)min(max(blue >> precision, 0), 255);
}

// Vertical half of the resize, and normalisation: planes of `size` x `size` floats,
// (value - shift) / scale per channel, where shift = 255 mean and scale = 255 std.
//
//   source   (height, size, 3) u8           target   (3, size, size) f32
//   starts, counts, weights: as above, of the output rows
//
// One thread per output pixel: x over the columns, y over the rows.
extern "C" __global__ void masklet_resize_rows_normalize(
    const u8* source, float* target, const u32* starts, const u32* counts, const short* weights,
    u32 window, u32 precision, u32 size, float shift_red, float shift_green, float shift_blue,
    float scale_red, float scale_green, float scale_blue) {
    const u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= size || y >= size) return;
    const u64 row = (u64)size * 3;
    const u8* pixel = source + starts[y] * row + (u64)x * 3;
    const short* weight = weights + (u64)y * window;
    const u32 count = counts[y];
    int red = 1 << (precision - 1);
    int green = red;
    int blue = red;
    for (u32 tap = 0; tap < count; ++tap, pixel += row) {
        const int w = weight[tap];
        red += w * pixel[0];
        green += w * pixel[1];
        blue += w * pixel[2];
    }
    red = min(max(red >> precision, 0), 255);
    green = min(max(green >> precision, 0), 255);
    blue = min(max(blue >> precision, 0), 255);
    const u64 plane = (u64)size * size;
    float* out = target + (u64)y * size + x;
    out[0] = __fdiv_rn(__fsub_rn((float)red, shift_red), scale_red);
    out[plane] = __fdiv_rn(__fsub_rn((float)green, shift_green), scale_green);
    out[2 * plane] = __fdiv_rn(__fsub_rn((float)blue, shift_blue), scale_blue);
}

// Where one output sample of a bilinear resize lies: half-pixel centres, corners not aligned,
// clamped at 0, as torch.nn.functional.interpolate computes it.
struct Tap {
    u32 low;
    u32 high;
    float weight;
};

static __device__ Tap tap_at(u32 index, u32 side, float scale) {
    const float centre = __fadd_rn((float)index, 0.5f);
    const float position = fmaxf(__fsub_rn(__fmul_rn(scale, centre), 0.5f), 0.0f);
    Tap tap;
    tap.low = min((u32)position, side - 1);
    tap.high = min(tap.low + 1, side - 1);
    tap.weight = __fsub_rn(position, (float)tap.low);
    return tap;
}

static __device__ float blend(float low, float high, float weight) {
    return __fadd_rn(__fmul_rn(low, __fsub_rn(1.0f, weight)), __fmul_rn(high, weight));
}

// Mask logits to a bit per pixel at the video's size: bilinear, then > 0.
//
//   logits      (objects, side, side) f32
//   bits        (objects, height, words) u32, words = ceil(width / 32); pixel x of a row is bit
//               x % 32 of word x / 32; bits beyond the width are 0
//   not_finite  (objects) u32, zero before the launch; 1 afterwards where a logit is NaN or infinite
//   scale_x     side / width, scale_y = side / height
//
// One thread per word: x over the words of a row, y over the rows, z over the objects.
extern "C" __global__ void masklet_logits_to_bits(const float* logits, u32* bits, u32* not_finite,
                                                  u32 side, u32 height, u32 width, float scale_x,
                                                  float scale_y) {
    const u32 words = (width + 31) / 32;
    const u32 word = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    const u32 object = blockIdx.z;
    if (word >= words || y >= height) return;
    const u64 area = (u64)side * side;
    const float* plane = logits + object * area;

    // Together, the object's threads look at every logit once, whether or not it is sampled.
    const u64 threads = (u64)words * height;
    for (u64 i = (u64)y * words + word; i < area; i += threads) {
        if ((__float_as_uint(plane[i]) & 0x7f800000u) == 0x7f800000u) not_finite[object] = 1;
    }

    const Tap row = tap_at(y, side, scale_y);
    const float* upper = plane + (u64)row.low * side;
    const float* lower = plane + (u64)row.high * side;
    const u32 first = word * 32;
    const u32 count = min(32u, width - first);
    // Neighbouring pixels mostly lie between the same two columns: those are loaded once.
    u32 held = side;
    float upper_low = 0.0f, upper_high = 0.0f, lower_low = 0.0f, lower_high = 0.0f;
    u32 packed = 0;
    for (u32 bit = 0; bit < count; ++bit) {
        const Tap column = tap_at(first + bit, side, scale_x);
        if (column.low != held) {
            held = column.low;
            upper_low = upper[column.low];
            upper_high = upper[column.high];
            lower_low = lower[column.low];
            lower_high = lower[column.high];
        }
        const float above = blend(upper_low, upper_high, column.weight);
        const float below = blend(lower_low, lower_high, column.weight);
        if (blend(above, below, row.weight) > 0.0f) packed |= 1u << bit;
    }
    bits[((u64)object * height + y) * words + word] = packed;
}

// Rounds to bfloat16, to nearest with ties to even, and back: NaNs stay NaNs and become quiet.
//
//   source, target   (count) f32; they may be the same memory
//
// One thread per value, over a grid of x.
extern "C" __global__ void masklet_round_bf16(const float* source, float* target, u64 count) {
    const u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        const u32 x = __float_as_uint(source[i]);
        u32 rounded;
        if ((x & 0x7fffffffu) > 0x7f800000u) {
            rounded = (x & 0xffff0000u) | 0x00400000u;
        } else {
            rounded = (x + 0x7fffu + ((x >> 16) & 1u)) & 0xffff0000u;
        }
        target[i] = __uint_as_float(rounded);
    }
}
