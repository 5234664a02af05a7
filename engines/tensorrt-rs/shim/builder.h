// From ONNX bytes to a plan: builder, strongly typed network, parser, configuration, timing cache.
#pragma once

#include "callbacks.h"
#include "tensor.h"

#include "NvInfer.h"
#include "NvOnnxParser.h"

namespace TENSORRT_RS_SET {

using nvinfer1::IBuilder;
using nvinfer1::IBuilderConfig;
using nvinfer1::IHostMemory;
using nvinfer1::INetworkDefinition;
using nvinfer1::ITimingCache;
using nvonnxparser::IParser;

inline void* builder_new(void* factory, void* logger, int32_t version) {
    auto create = reinterpret_cast<void* (*)(void*, int32_t) noexcept>(factory);
    auto* as_interface = static_cast<nvinfer1::ILogger*>(static_cast<Logger*>(logger));
    return create(as_interface, version);
}

inline void builder_free(void* builder) {
    delete static_cast<IBuilder*>(builder);
}

inline void* network_new(void* builder) {
    auto const flag = static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
    return static_cast<IBuilder*>(builder)->createNetworkV2(1U << flag);
}

inline void network_free(void* network) {
    delete static_cast<INetworkDefinition*>(network);
}

inline int32_t network_tensor_count(void* network, int32_t inputs) {
    auto* net = static_cast<INetworkDefinition*>(network);
    return inputs != 0 ? net->getNbInputs() : net->getNbOutputs();
}

inline int32_t network_tensor(void* network, int32_t inputs, int32_t index, tensorrt_rs_tensor* out) {
    auto* net = static_cast<INetworkDefinition*>(network);
    auto* tensor = inputs != 0 ? net->getInput(index) : net->getOutput(index);
    if (tensor == nullptr) {
        return 0;
    }
    return describe(out, tensor->getName(), tensor->getType(), tensor->getDimensions(), inputs != 0,
        true);
}

inline int32_t network_layer_count(void* network) {
    return static_cast<INetworkDefinition*>(network)->getNbLayers();
}

inline void* parser_new(void* factory, void* network, void* logger, int32_t) {
    auto create = reinterpret_cast<void* (*)(void*, void*, int) noexcept>(factory);
    auto* as_interface = static_cast<nvinfer1::ILogger*>(static_cast<Logger*>(logger));
    return create(static_cast<INetworkDefinition*>(network), as_interface, NV_ONNX_PARSER_VERSION);
}

inline void parser_free(void* parser) {
    delete static_cast<IParser*>(parser);
}

inline int32_t parser_parse(void* parser, void const* onnx, size_t bytes) {
    return static_cast<IParser*>(parser)->parse(onnx, bytes) ? 1 : 0;
}

inline int32_t parser_error_count(void* parser) {
    return static_cast<IParser*>(parser)->getNbErrors();
}

inline int32_t parser_error(void* parser, int32_t index, tensorrt_rs_parser_error* out) {
    auto const* error = static_cast<IParser*>(parser)->getError(index);
    if (error == nullptr) {
        return 0;
    }
    *out = tensorrt_rs_parser_error{};
    out->code = static_cast<int32_t>(error->code());
    out->node = error->node();
    out->description = error->desc();
    out->node_name = error->nodeName();
    out->node_operator = error->nodeOperator();
    return 1;
}

inline void* config_new(void* builder) {
    return static_cast<IBuilder*>(builder)->createBuilderConfig();
}

inline void config_free(void* config) {
    delete static_cast<IBuilderConfig*>(config);
}

inline void config_set_workspace(void* config, uint64_t bytes) {
    static_cast<IBuilderConfig*>(config)->setMemoryPoolLimit(
        nvinfer1::MemoryPoolType::kWORKSPACE, static_cast<std::size_t>(bytes));
}

inline uint64_t config_workspace(void* config) {
    return static_cast<IBuilderConfig*>(config)->getMemoryPoolLimit(
        nvinfer1::MemoryPoolType::kWORKSPACE);
}

inline void config_set_detailed_profiling(void* config, int32_t detailed) {
    using nvinfer1::ProfilingVerbosity;
    static_cast<IBuilderConfig*>(config)->setProfilingVerbosity(
        detailed != 0 ? ProfilingVerbosity::kDETAILED : ProfilingVerbosity::kLAYER_NAMES_ONLY);
}

inline void config_set_optimization_level(void* config, int32_t level) {
    static_cast<IBuilderConfig*>(config)->setBuilderOptimizationLevel(level);
}

inline void config_set_tf32(void* config, int32_t allowed) {
    auto* c = static_cast<IBuilderConfig*>(config);
    if (allowed != 0) {
        c->setFlag(nvinfer1::BuilderFlag::kTF32);
    } else {
        c->clearFlag(nvinfer1::BuilderFlag::kTF32);
    }
}

inline void config_set_progress(void* config, void* progress) {
    static_cast<IBuilderConfig*>(config)->setProgressMonitor(static_cast<Progress*>(progress));
}

inline int32_t config_set_compute_capabilities(
    void* config, int32_t const* values, int32_t count) {
#ifdef TENSORRT_RS_HAS_COMPUTE_CAPABILITY
    auto* c = static_cast<IBuilderConfig*>(config);
    if (!c->setNbComputeCapabilities(count)) {
        return 0;
    }
    for (int32_t i = 0; i < count; ++i) {
        if (!c->setComputeCapability(static_cast<nvinfer1::ComputeCapability>(values[i]), i)) {
            return 0;
        }
    }
    return 1;
#else
    (void) config;
    (void) values;
    (void) count;
    return -1;
#endif
}

inline void* timing_cache_new(void* config, void const* bytes, size_t size) {
    return static_cast<IBuilderConfig*>(config)->createTimingCache(bytes, size);
}

inline int32_t config_set_timing_cache(void* config, void* cache) {
    return static_cast<IBuilderConfig*>(config)->setTimingCache(
               *static_cast<ITimingCache*>(cache), false)
        ? 1
        : 0;
}

inline void* timing_cache_serialize(void* cache) {
    return static_cast<ITimingCache*>(cache)->serialize();
}

inline void timing_cache_free(void* cache) {
    delete static_cast<ITimingCache*>(cache);
}

inline void* build(void* builder, void* network, void* config) {
    return static_cast<IBuilder*>(builder)->buildSerializedNetwork(
        *static_cast<INetworkDefinition*>(network), *static_cast<IBuilderConfig*>(config));
}

inline void const* memory_data(void* memory) {
    return static_cast<IHostMemory*>(memory)->data();
}

inline size_t memory_size(void* memory) {
    return static_cast<IHostMemory*>(memory)->size();
}

inline void memory_free(void* memory) {
    delete static_cast<IHostMemory*>(memory);
}

} // namespace TENSORRT_RS_SET
