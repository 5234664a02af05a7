// What the C++ classes share: TensorRT's headers, the log, and the functions of the Rust half.
//
// The C++ half holds the classes that cross the library's boundary and nothing else. Graphs, plans,
// the driver and the runs are in Rust; every function below is described there (src/ffi.rs).
#pragma once

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdarg>
#include <cstdio>
#include <type_traits>

namespace masklet_sim
{
using Severity = nvinfer1::ILogger::Severity;

__attribute__((format(printf, 3, 4))) inline void say(
    nvinfer1::ILogger* logger, Severity severity, char const* format, ...) noexcept
{
    if (logger == nullptr)
    {
        return;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    logger->log(severity, text);
}

// What a function that the stand-in lacks does: an error in the log, and the return value that
// means failure (null, false, zero, dimensions of rank -1).
template <class R>
R refuse(nvinfer1::ILogger* logger, char const* function) noexcept
{
    say(logger, Severity::kERROR, "%s: Error Code 10: the simulated TensorRT does not implement this function",
        function);
    if constexpr (std::is_same_v<R, nvinfer1::Dims>)
    {
        nvinfer1::Dims none{};
        none.nbDims = -1;
        return none;
    }
    else if constexpr (!std::is_void_v<R>)
    {
        return R{};
    }
}
} // namespace masklet_sim

#include "standins.h"

extern "C"
{
    struct SimGraph;
    struct SimBytes;
    struct SimEngine;
    struct SimContext;

    struct SimTensor
    {
        char const* name;
        int64_t const* dims;
        uint64_t bytes;
        int32_t rank;
        int32_t type;
        bool output;
    };

    struct SimFailure
    {
        int32_t code;
        int32_t node;
        char name[256];
        char op[64];
        char text[1024];
    };

    struct SimBuildOptions
    {
        char const* name;
        char const* fingerprint;
        uint64_t workspace;
    };

    int32_t masklet_sim_version() noexcept;

    SimGraph const* masklet_sim_graph_parse(void const* onnx, size_t size, SimFailure* failure) noexcept;
    SimGraph const* masklet_sim_graph_share(SimGraph const* graph) noexcept;
    void masklet_sim_graph_release(SimGraph const* graph) noexcept;
    int32_t masklet_sim_graph_tensors(SimGraph const* graph) noexcept;
    bool masklet_sim_graph_tensor(SimGraph const* graph, int32_t index, SimTensor* tensor) noexcept;
    int32_t masklet_sim_graph_nodes(SimGraph const* graph) noexcept;
    char const* masklet_sim_graph_node(SimGraph const* graph, int32_t index) noexcept;
    uint64_t masklet_sim_graph_hash(SimGraph const* graph) noexcept;

    SimBytes* masklet_sim_build(SimGraph const* graph, SimBuildOptions const* options, void* logger) noexcept;
    SimBytes* masklet_sim_bytes_copy(void const* data, size_t size) noexcept;
    void* masklet_sim_bytes_data(SimBytes const* bytes) noexcept;
    size_t masklet_sim_bytes_size(SimBytes const* bytes) noexcept;
    void masklet_sim_bytes_release(SimBytes* bytes) noexcept;

    bool masklet_sim_driver_ready(void* logger) noexcept;
    uint64_t masklet_sim_driver_allocate(uint64_t size) noexcept;
    void masklet_sim_driver_free(uint64_t address) noexcept;
    void masklet_sim_driver_synchronize(void* stream) noexcept;

    SimEngine* masklet_sim_engine_open(void const* plan, size_t size, void* logger) noexcept;
    SimGraph const* masklet_sim_engine_graph(SimEngine const* engine) noexcept;
    char const* masklet_sim_engine_name(SimEngine const* engine) noexcept;
    SimBytes* masklet_sim_engine_plan(SimEngine const* engine) noexcept;
    SimBytes* masklet_sim_engine_json(SimEngine const* engine) noexcept;
    uint64_t masklet_sim_engine_weights_bytes(SimEngine const* engine) noexcept;
    uint64_t masklet_sim_engine_persistent_bytes(SimEngine const* engine) noexcept;
    uint64_t masklet_sim_engine_scratch_bytes(SimEngine const* engine) noexcept;
    bool masklet_sim_engine_place(SimEngine* engine, uint64_t address, void* logger) noexcept;
    void masklet_sim_engine_release(SimEngine* engine) noexcept;

    SimContext* masklet_sim_context_create(SimEngine const* engine, uint64_t persistent, void* logger) noexcept;
    bool masklet_sim_context_enqueue(SimContext* context, void* stream, uint64_t const* addresses, size_t count,
        uint64_t scratch, uint64_t scratch_bytes, void* logger) noexcept;
    float masklet_sim_context_last_ms(SimContext const* context) noexcept;
    void masklet_sim_context_release(SimContext* context) noexcept;
}
