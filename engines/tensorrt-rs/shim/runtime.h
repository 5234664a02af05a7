// From a plan to enqueued work: runtime, engine, inspector, execution context.
#pragma once

#include "callbacks.h"
#include "tensor.h"

#include "NvInfer.h"

namespace TENSORRT_RS_SET {

using nvinfer1::ICudaEngine;
using nvinfer1::IExecutionContext;
using nvinfer1::IRuntime;

inline void* runtime_new(void* factory, void* logger, int32_t version) {
    auto create = reinterpret_cast<void* (*)(void*, int32_t) noexcept>(factory);
    auto* as_interface = static_cast<nvinfer1::ILogger*>(static_cast<Logger*>(logger));
    return create(as_interface, version);
}

inline void runtime_free(void* runtime) {
    delete static_cast<IRuntime*>(runtime);
}

inline void runtime_set_allocator(void* runtime, void* allocator) {
    static_cast<IRuntime*>(runtime)->setGpuAllocator(static_cast<Allocator*>(allocator));
}

inline void* runtime_deserialize(void* runtime, void const* plan, size_t bytes) {
    return static_cast<IRuntime*>(runtime)->deserializeCudaEngine(plan, bytes);
}

inline void engine_free(void* engine) {
    delete static_cast<ICudaEngine*>(engine);
}

inline int32_t engine_tensor_count(void* engine) {
    return static_cast<ICudaEngine*>(engine)->getNbIOTensors();
}

inline int32_t engine_tensor(void* engine, int32_t index, tensorrt_rs_tensor* out) {
    auto* e = static_cast<ICudaEngine*>(engine);
    char const* name = e->getIOTensorName(index);
    if (name == nullptr) {
        return 0;
    }
    return describe(out, name, e->getTensorDataType(name), e->getTensorShape(name),
        e->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT,
        e->getTensorLocation(name) == nvinfer1::TensorLocation::kDEVICE);
}

inline int64_t engine_scratch_bytes(void* engine) {
    return static_cast<ICudaEngine*>(engine)->getDeviceMemorySizeV2();
}

inline int64_t engine_weight_bytes(void* engine) {
#ifdef TENSORRT_RS_HAS_ENGINE_STAT
    return static_cast<ICudaEngine*>(engine)->getEngineStat(
        nvinfer1::EngineStat::kTOTAL_WEIGHTS_SIZE);
#else
    (void) engine;
    return -1;
#endif
}

inline int32_t engine_layer_count(void* engine) {
    return static_cast<ICudaEngine*>(engine)->getNbLayers();
}

inline int32_t engine_inspect(void* engine, void* user, void (*sink)(void*, char const*)) {
    auto* inspector = static_cast<ICudaEngine*>(engine)->createEngineInspector();
    if (inspector == nullptr) {
        return 0;
    }
    char const* json = inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON);
    if (json != nullptr) {
        sink(user, json);
    }
    delete inspector;
    return json != nullptr ? 1 : 0;
}

inline void* context_new(void* engine) {
    return static_cast<ICudaEngine*>(engine)->createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
}

inline void context_free(void* context) {
    delete static_cast<IExecutionContext*>(context);
}

inline void context_set_scratch(void* context, uint64_t address, int64_t bytes) {
    static_cast<IExecutionContext*>(context)->setDeviceMemoryV2(pointer_to(address), bytes);
}

inline int32_t context_set_address(void* context, char const* tensor, uint64_t address) {
    return static_cast<IExecutionContext*>(context)->setTensorAddress(tensor, pointer_to(address))
        ? 1
        : 0;
}

inline void context_set_allocator(void* context, void* allocator) {
    static_cast<IExecutionContext*>(context)->setTemporaryStorageAllocator(
        static_cast<Allocator*>(allocator));
}

inline void context_set_profiler(void* context, void* profiler) {
    static_cast<IExecutionContext*>(context)->setProfiler(static_cast<Profiler*>(profiler));
}

inline int32_t context_enqueue(void* context, void* stream) {
    return static_cast<IExecutionContext*>(context)->enqueueV3(static_cast<cudaStream_t>(stream))
        ? 1
        : 0;
}

} // namespace TENSORRT_RS_SET
