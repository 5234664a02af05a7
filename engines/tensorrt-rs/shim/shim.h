// The C interface between Rust and TensorRT's C++ classes: one table of functions per set of
// headers (TensorRT 10, TensorRT 11, TensorRT-RTX). The same sources are compiled once per set,
// with the namespaces nvinfer1 and nvonnxparser renamed, so that several sets stand in one binary.
// Nothing here refers to a symbol of TensorRT's libraries: factories come in as addresses that were
// looked up at run time. The mirror of this file in Rust is ../src/sys.rs: change both.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Severity as in nvinfer1::ILogger: 0 internal error, 1 error, 2 warning, 3 info, 4 verbose.
typedef void (*tensorrt_rs_log_fn)(void* user, int32_t severity, char const* message);

// Progress of a build; returning 0 from `step` cancels it.
typedef struct {
    void* user;
    void (*start)(void* user, char const* phase, char const* parent, int32_t steps);
    int32_t (*step)(void* user, char const* phase, int32_t step);
    void (*finish)(void* user, char const* phase);
} tensorrt_rs_progress;

// Device memory for TensorRT. Addresses are device addresses, 0 is a refusal.
typedef struct {
    void* user;
    uint64_t (*allocate)(void* user, uint64_t bytes, uint64_t alignment);
    uint64_t (*reallocate)(void* user, uint64_t address, uint64_t alignment, uint64_t bytes);
    int32_t (*deallocate)(void* user, uint64_t address);
} tensorrt_rs_allocator;

// Milliseconds of one layer.
typedef void (*tensorrt_rs_layer_fn)(void* user, char const* layer, float milliseconds);

// What the ONNX parser says about one error; the strings live as long as the parser.
typedef struct {
    int32_t code;
    int32_t node;
    char const* description;
    char const* node_name;
    char const* node_operator;
} tensorrt_rs_parser_error;

// One input or output of a network or an engine; `name` lives as long as its owner.
typedef struct {
    char const* name;
    int32_t data_type;
    int32_t rank;
    int64_t extents[8];
    int32_t is_input;
    int32_t on_device;
} tensorrt_rs_tensor;

typedef struct {
    int32_t header_version; // major * 10000 + minor * 100 + patch of the headers

    // Callback objects that TensorRT keeps pointers to: they must outlive what they are given to.
    void* (*logger_new)(void* user, tensorrt_rs_log_fn log);
    void (*logger_free)(void* logger);
    void* (*progress_new)(tensorrt_rs_progress const* callbacks);
    void (*progress_free)(void* progress);
    void* (*allocator_new)(tensorrt_rs_allocator const* callbacks);
    void (*allocator_free)(void* allocator);
    void* (*profiler_new)(void* user, tensorrt_rs_layer_fn layer);
    void (*profiler_free)(void* profiler);

    // Builder. `factory` is createInferBuilder_INTERNAL; null means refused.
    void* (*builder_new)(void* factory, void* logger, int32_t version);
    void (*builder_free)(void* builder);
    void* (*network_new)(void* builder); // strongly typed
    void (*network_free)(void* network);
    int32_t (*network_tensor_count)(void* network, int32_t inputs);
    int32_t (*network_tensor)(void* network, int32_t inputs, int32_t index, tensorrt_rs_tensor* tensor);
    int32_t (*network_layer_count)(void* network);

    // ONNX parser. `factory` is createNvOnnxParser_INTERNAL.
    void* (*parser_new)(void* factory, void* network, void* logger, int32_t version);
    void (*parser_free)(void* parser);
    int32_t (*parser_parse)(void* parser, void const* onnx, size_t bytes);
    int32_t (*parser_error_count)(void* parser);
    int32_t (*parser_error)(void* parser, int32_t index, tensorrt_rs_parser_error* error);

    // Builder configuration.
    void* (*config_new)(void* builder);
    void (*config_free)(void* config);
    void (*config_set_workspace)(void* config, uint64_t bytes);
    uint64_t (*config_workspace)(void* config);
    void (*config_set_detailed_profiling)(void* config, int32_t detailed);
    void (*config_set_optimization_level)(void* config, int32_t level);
    void (*config_set_tf32)(void* config, int32_t allowed);
    void (*config_set_progress)(void* config, void* progress);
    // 1 set, 0 refused by TensorRT, -1 this TensorRT has no such setting.
    int32_t (*config_set_compute_capabilities)(void* config, int32_t const* values, int32_t count);
    // The cache must outlive the build.
    void* (*timing_cache_new)(void* config, void const* bytes, size_t size);
    int32_t (*config_set_timing_cache)(void* config, void* cache);
    void* (*timing_cache_serialize)(void* cache);
    void (*timing_cache_free)(void* cache);

    void* (*build)(void* builder, void* network, void* config); // memory with the plan, or null
    void const* (*memory_data)(void* memory);
    size_t (*memory_size)(void* memory);
    void (*memory_free)(void* memory);

    // Runtime. `factory` is createInferRuntime_INTERNAL. Call only when a driver is initialised.
    void* (*runtime_new)(void* factory, void* logger, int32_t version);
    void (*runtime_free)(void* runtime);
    void (*runtime_set_allocator)(void* runtime, void* allocator);
    void* (*runtime_deserialize)(void* runtime, void const* plan, size_t bytes);

    void (*engine_free)(void* engine);
    int32_t (*engine_tensor_count)(void* engine);
    int32_t (*engine_tensor)(void* engine, int32_t index, tensorrt_rs_tensor* tensor);
    int64_t (*engine_scratch_bytes)(void* engine);
    int64_t (*engine_weight_bytes)(void* engine); // -1 where this TensorRT does not say
    int32_t (*engine_layer_count)(void* engine);
    // Calls `sink` once with the inspector's JSON; 0 when there is none.
    int32_t (*engine_inspect)(void* engine, void* user, void (*sink)(void* user, char const* json));

    void* (*context_new)(void* engine); // scratch memory is the caller's
    void (*context_free)(void* context);
    void (*context_set_scratch)(void* context, uint64_t address, int64_t bytes);
    int32_t (*context_set_address)(void* context, char const* tensor, uint64_t address);
    void (*context_set_allocator)(void* context, void* allocator); // temporary storage
    void (*context_set_profiler)(void* context, void* profiler);
    int32_t (*context_enqueue)(void* context, void* stream);
} tensorrt_rs_table;

// TENSORRT_RS_TABLE is this set's name of the one exported function.
tensorrt_rs_table const* TENSORRT_RS_TABLE(void);
}
