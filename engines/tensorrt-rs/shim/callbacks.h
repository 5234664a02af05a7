// TensorRT's callback interfaces, each handing over to a C function: logger, build progress, device
// memory, layer times. No logic beyond the hand-over.
#pragma once

#include "shim.h"

#include "NvInfer.h"

namespace TENSORRT_RS_SET {

inline uint64_t address_of(void const* pointer) {
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer));
}

inline void* pointer_to(uint64_t address) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
}

class Logger final : public nvinfer1::ILogger {
public:
    Logger(void* user, tensorrt_rs_log_fn log) : user_(user), log_(log) {}

    void log(Severity severity, nvinfer1::AsciiChar const* message) noexcept override {
        log_(user_, static_cast<int32_t>(severity), message);
    }

private:
    void* user_;
    tensorrt_rs_log_fn log_;
};

class Progress final : public nvinfer1::IProgressMonitor {
public:
    explicit Progress(tensorrt_rs_progress const& callbacks) : callbacks_(callbacks) {}

    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override {
        callbacks_.start(callbacks_.user, phase, parent, steps);
    }

    bool stepComplete(char const* phase, int32_t step) noexcept override {
        return callbacks_.step(callbacks_.user, phase, step) != 0;
    }

    void phaseFinish(char const* phase) noexcept override {
        callbacks_.finish(callbacks_.user, phase);
    }

private:
    tensorrt_rs_progress callbacks_;
};

// The stream is of no matter: addresses come from a slab that is there for the whole run, so that
// a synchronous answer is right for the asynchronous question too.
class Allocator final : public nvinfer1::IGpuAllocator {
public:
    explicit Allocator(tensorrt_rs_allocator const& callbacks) : callbacks_(callbacks) {}

    void* allocate(uint64_t bytes, uint64_t alignment, nvinfer1::AllocatorFlags) noexcept override {
        return pointer_to(callbacks_.allocate(callbacks_.user, bytes, alignment));
    }

    void* reallocate(void* address, uint64_t alignment, uint64_t bytes) noexcept override {
        return pointer_to(
            callbacks_.reallocate(callbacks_.user, address_of(address), alignment, bytes));
    }

    bool deallocate(void* address) noexcept override {
        return callbacks_.deallocate(callbacks_.user, address_of(address)) != 0;
    }

    void* allocateAsync(uint64_t bytes, uint64_t alignment, nvinfer1::AllocatorFlags,
        cudaStream_t) noexcept override {
        return pointer_to(callbacks_.allocate(callbacks_.user, bytes, alignment));
    }

    bool deallocateAsync(void* address, cudaStream_t) noexcept override {
        return callbacks_.deallocate(callbacks_.user, address_of(address)) != 0;
    }

private:
    tensorrt_rs_allocator callbacks_;
};

class Profiler final : public nvinfer1::IProfiler {
public:
    Profiler(void* user, tensorrt_rs_layer_fn layer) : user_(user), layer_(layer) {}

    void reportLayerTime(char const* layer, float milliseconds) noexcept override {
        layer_(user_, layer, milliseconds);
    }

private:
    void* user_;
    tensorrt_rs_layer_fn layer_;
};

} // namespace TENSORRT_RS_SET
