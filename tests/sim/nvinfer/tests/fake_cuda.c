// A CUDA driver of a few functions, enough to test the nvinfer stand-in alone. Device memory is
// host memory at another address; work on a stream runs when the stream is synchronised.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

// Device addresses lie this far above the host's: whoever takes one for the other crashes.
#define OFFSET 0x100000000000ULL
#define BLOCKS 256
#define QUEUE 64

static struct
{
    uint64_t start;
    uint64_t bytes;
} blocks[BLOCKS];

static struct call
{
    void (*function)(void*);
    void* data;
} queue[QUEUE], graph[QUEUE];
static int queued;
static int captured;
static int capturing;

EXPORT int cuInit(unsigned flags)
{
    (void) flags;
    return getenv("FAKE_CUDA_BROKEN") != NULL ? 999 : 0;
}

EXPORT int cuDeviceGetName(char* name, int length, int device)
{
    char const* given = getenv("FAKE_CUDA_NAME");
    (void) device;
    snprintf(name, (size_t) length, "%s", given != NULL ? given : "Simulated test device");
    return 0;
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device)
{
    (void) device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 0;
    return 0;
}

EXPORT int cuMemAlloc_v2(uint64_t* address, size_t bytes)
{
    for (int i = 0; i < BLOCKS; ++i)
    {
        if (blocks[i].start == 0)
        {
            void* host = aligned_alloc(256, (bytes + 255) / 256 * 256);
            memset(host, 0, bytes);
            blocks[i].start = (uint64_t) host + OFFSET;
            blocks[i].bytes = bytes;
            *address = blocks[i].start;
            return 0;
        }
    }
    return 2;
}

EXPORT int cuMemFree_v2(uint64_t address)
{
    for (int i = 0; i < BLOCKS; ++i)
    {
        if (blocks[i].start == address && address != 0)
        {
            free((void*) (address - OFFSET));
            blocks[i].start = 0;
            return 0;
        }
    }
    return 1;
}

// How many blocks are not freed.
EXPORT int fake_live(void)
{
    int live = 0;
    for (int i = 0; i < BLOCKS; ++i)
    {
        live += blocks[i].start != 0;
    }
    return live;
}

EXPORT void* sim_translate(uint64_t address, uint64_t bytes)
{
    for (int i = 0; i < BLOCKS; ++i)
    {
        if (blocks[i].start != 0 && address >= blocks[i].start && address + bytes <= blocks[i].start + blocks[i].bytes)
        {
            return (void*) (address - OFFSET);
        }
    }
    return NULL;
}

EXPORT int cuLaunchHostFunc(void* stream, void (*function)(void*), void* data)
{
    (void) stream;
    if (queued == QUEUE || captured == QUEUE)
    {
        return 2;
    }
    if (capturing)
    {
        graph[captured].function = function;
        graph[captured].data = data;
        ++captured;
        return 0;
    }
    queue[queued].function = function;
    queue[queued].data = data;
    ++queued;
    return 0;
}

EXPORT int cuStreamSynchronize(void* stream)
{
    (void) stream;
    for (int i = 0; i < queued; ++i)
    {
        queue[i].function(queue[i].data);
    }
    queued = 0;
    return 0;
}

EXPORT int cuStreamIsCapturing(void* stream, int* status)
{
    (void) stream;
    *status = capturing;
    return 0;
}

EXPORT void fake_capture(int on)
{
    capturing = on;
}

// Puts what was captured on the stream, as often as it is called.
EXPORT void fake_launch_graph(void)
{
    for (int i = 0; i < captured; ++i)
    {
        queue[queued++] = graph[i];
    }
}
