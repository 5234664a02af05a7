// The one translation unit: compiled once per set of headers by engines/build.rs, which defines
// TENSORRT_RS_SET (a C++ namespace), TENSORRT_RS_TABLE (the exported function), the renamed nvinfer1 and
// nvonnxparser, and, where the headers have them, TENSORRT_RS_HAS_COMPUTE_CAPABILITY and
// TENSORRT_RS_HAS_ENGINE_STAT. A function that only newer libraries of a set have must be guarded by
// the caller too (see TensorRT's version in ../library.rs): calling it in an older one would jump
// behind the end of a virtual table.
#include "shim.h"

#include "builder.h"
#include "callbacks.h"
#include "runtime.h"

namespace TENSORRT_RS_SET {

void* logger_new(void* user, tensorrt_rs_log_fn log) {
    return new Logger(user, log);
}

void logger_free(void* logger) {
    delete static_cast<Logger*>(logger);
}

void* progress_new(tensorrt_rs_progress const* callbacks) {
    return new Progress(*callbacks);
}

void progress_free(void* progress) {
    delete static_cast<Progress*>(progress);
}

void* allocator_new(tensorrt_rs_allocator const* callbacks) {
    return new Allocator(*callbacks);
}

void allocator_free(void* allocator) {
    delete static_cast<Allocator*>(allocator);
}

void* profiler_new(void* user, tensorrt_rs_layer_fn layer) {
    return new Profiler(user, layer);
}

void profiler_free(void* profiler) {
    delete static_cast<Profiler*>(profiler);
}

constexpr int32_t kHEADER_VERSION
    = NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH;

// In the order of tensorrt_rs_table.
tensorrt_rs_table const kTABLE = {
    kHEADER_VERSION,
    logger_new,
    logger_free,
    progress_new,
    progress_free,
    allocator_new,
    allocator_free,
    profiler_new,
    profiler_free,
    builder_new,
    builder_free,
    network_new,
    network_free,
    network_tensor_count,
    network_tensor,
    network_layer_count,
    parser_new,
    parser_free,
    parser_parse,
    parser_error_count,
    parser_error,
    config_new,
    config_free,
    config_set_workspace,
    config_workspace,
    config_set_detailed_profiling,
    config_set_optimization_level,
    config_set_tf32,
    config_set_progress,
    config_set_compute_capabilities,
    timing_cache_new,
    config_set_timing_cache,
    timing_cache_serialize,
    timing_cache_free,
    build,
    memory_data,
    memory_size,
    memory_free,
    runtime_new,
    runtime_free,
    runtime_set_allocator,
    runtime_deserialize,
    engine_free,
    engine_tensor_count,
    engine_tensor,
    engine_scratch_bytes,
    engine_weight_bytes,
    engine_layer_count,
    engine_inspect,
    context_new,
    context_free,
    context_set_scratch,
    context_set_address,
    context_set_allocator,
    context_set_profiler,
    context_enqueue,
};

} // namespace TENSORRT_RS_SET

tensorrt_rs_table const* TENSORRT_RS_TABLE(void) {
    return &TENSORRT_RS_SET::kTABLE;
}
