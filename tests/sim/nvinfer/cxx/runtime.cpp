// IRuntime, ICudaEngine, IExecutionContext and IEngineInspector: device memory through the client's
// allocator, tensors by name, work on the client's stream.
#include "objects.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace
{
using namespace masklet_sim;
using namespace nvinfer1;

constexpr uint64_t kALIGNMENT = 256;

// One block from the client's allocator, or from the driver where there is none.
class Block
{
public:
    Block() noexcept = default;
    Block(Block const&) = delete;
    Block& operator=(Block const&) = delete;
    ~Block() noexcept
    {
        release();
    }
    // False, with an error in the log, when the allocator refuses or its block is not aligned.
    bool allocate(IGpuAllocator* allocator, uint64_t bytes, ILogger* logger, char const* function) noexcept
    {
        mAllocator = allocator;
        mAddress = allocator == nullptr
            ? masklet_sim_driver_allocate(bytes)
            : reinterpret_cast<uint64_t>(allocator->allocateAsync(bytes, kALIGNMENT, 0, nullptr));
        if (mAddress == 0)
        {
            say(logger, Severity::kERROR, "%s: Error Code 2: OutOfMemory (Requested size was %llu bytes.)", function,
                static_cast<unsigned long long>(bytes));
            return false;
        }
        if (mAddress % kALIGNMENT != 0)
        {
            say(logger, Severity::kERROR, "%s: Error Code 3: the allocator's block is not aligned to %llu bytes", function,
                static_cast<unsigned long long>(kALIGNMENT));
            release();
            return false;
        }
        return true;
    }
    uint64_t address() const noexcept
    {
        return mAddress;
    }

private:
    void release() noexcept
    {
        if (mAddress == 0)
        {
            return;
        }
        if (mAllocator == nullptr)
        {
            masklet_sim_driver_free(mAddress);
        }
        else
        {
            mAllocator->deallocateAsync(reinterpret_cast<void*>(mAddress), nullptr);
        }
        mAddress = 0;
    }

    IGpuAllocator* mAllocator = nullptr;
    uint64_t mAddress = 0;
};

class Engine;

class Context final : public IExecutionContext, public apiv::VExecutionContextStandIn
{
public:
    Context(Engine& engine, ExecutionContextAllocationStrategy strategy) noexcept;
    ~Context() noexcept override;
    bool start() noexcept;

    ILogger* logger() const noexcept override;
    ICudaEngine const& getEngine() const noexcept override;
    IExecutionContext* getPImpl() noexcept override
    {
        return this;
    }
    void setName(char const* name) noexcept override
    {
        mName = name == nullptr ? "" : name;
    }
    char const* getName() const noexcept override
    {
        return mName.c_str();
    }
    void setProfiler(IProfiler* profiler) noexcept override
    {
        mProfiler = profiler;
    }
    IProfiler* getProfiler() const noexcept override
    {
        return mProfiler;
    }
    void setEnqueueEmitsProfile(bool emits) noexcept override
    {
        mEmits = emits;
    }
    bool getEnqueueEmitsProfile() const noexcept override
    {
        return mEmits;
    }
    bool reportToProfiler() const noexcept override;
    void setDeviceMemory(void* memory) noexcept override;
    void setDeviceMemoryV2(void* memory, int64_t size) noexcept override;
    size_t updateDeviceMemorySizeForShapes() noexcept override;
    bool setTemporaryStorageAllocator(IGpuAllocator* allocator) noexcept override
    {
        mTemporary = allocator;
        return true;
    }
    IGpuAllocator* getTemporaryStorageAllocator() const noexcept override
    {
        return mTemporary;
    }
    int32_t getOptimizationProfile() const noexcept override
    {
        return 0;
    }
    bool allInputDimensionsSpecified() const noexcept override
    {
        return true;
    }
    bool allInputShapesSpecified() const noexcept override
    {
        return true;
    }
    int32_t inferShapes(int32_t /*room*/, char const** /*names*/) noexcept override
    {
        // Every shape is static: no input lacks one.
        return 0;
    }
    bool setInputShape(char const* name, Dims const& wanted) noexcept override;
    Dims getTensorShape(char const* name) const noexcept override;
    Dims getTensorStrides(char const* name) const noexcept override;
    int64_t getMaxOutputSize(char const* name) const noexcept override;
    bool setTensorAddress(char const* name, void* data) noexcept override
    {
        return bind("setTensorAddress", name, data, true, true);
    }
    bool setInputTensorAddress(char const* name, void const* data) noexcept override
    {
        return bind("setInputTensorAddress", name, data, true, false);
    }
    bool setOutputTensorAddress(char const* name, void* data) noexcept override
    {
        return bind("setOutputTensorAddress", name, data, false, true);
    }
    void const* getTensorAddress(char const* name) const noexcept override;
    void* getOutputTensorAddress(char const* name) const noexcept override
    {
        return const_cast<void*>(getTensorAddress(name));
    }
    bool enqueueV3(cudaStream_t stream) noexcept override;

private:
    bool bind(char const* function, char const* name, void const* data, bool inputs, bool outputs) noexcept;

    Engine& mEngine;
    ExecutionContextAllocationStrategy mStrategy;
    std::string mName;
    Block mPersistent;
    Block mOwnScratch;
    uint64_t mScratch = 0;
    uint64_t mScratchBytes = 0;
    std::vector<uint64_t> mAddresses;
    IProfiler* mProfiler = nullptr;
    bool mEmits = true;
    IGpuAllocator* mTemporary = nullptr;
    SimContext* mContext = nullptr;
};

class Inspector final : public IEngineInspector, public apiv::VEngineInspectorStandIn
{
public:
    explicit Inspector(Engine const& engine) noexcept
        : mEngine(engine)
    {
        mImpl = this;
    }
    ~Inspector() noexcept override
    {
        masklet_sim_bytes_release(mText);
    }
    ILogger* logger() const noexcept override;
    IEngineInspector* getPImpl() noexcept override
    {
        return this;
    }
    bool setExecutionContext(IExecutionContext const* context) noexcept override
    {
        mContext = context;
        return true;
    }
    IExecutionContext const* getExecutionContext() const noexcept override
    {
        return mContext;
    }
    char const* getLayerInformation(int32_t index, LayerInformationFormat format) const noexcept override;
    char const* getEngineInformation(LayerInformationFormat format) const noexcept override;

private:
    Engine const& mEngine;
    IExecutionContext const* mContext = nullptr;
    mutable SimBytes* mText = nullptr;
};

class Engine final : public ICudaEngine, public apiv::VCudaEngineStandIn
{
public:
    Engine(SimEngine* engine, IGpuAllocator* allocator, ILogger* logger) noexcept
        : mEngine(engine)
        , mAllocator(allocator)
        , mLogger(logger)
    {
        mImpl = this;
    }
    ~Engine() noexcept override
    {
        if (contexts != 0)
        {
            say(mLogger, Severity::kERROR, "ICudaEngine: destroyed while %d of its execution contexts live", contexts.load());
        }
        masklet_sim_engine_release(mEngine);
    }
    bool placeWeights() noexcept
    {
        return mWeights.allocate(mAllocator, masklet_sim_engine_weights_bytes(mEngine), mLogger,
                   "IRuntime::deserializeCudaEngine")
            && masklet_sim_engine_place(mEngine, mWeights.address(), mLogger);
    }
    SimEngine* engine() const noexcept
    {
        return mEngine;
    }
    IGpuAllocator* allocator() const noexcept
    {
        return mAllocator;
    }
    SimGraph const* graph() const noexcept
    {
        return masklet_sim_engine_graph(mEngine);
    }
    // The index of a tensor, -1 and an error in the log for a name that the engine does not have.
    int32_t find(char const* function, char const* name, SimTensor& tensor) const noexcept
    {
        for (int32_t i = 0; name != nullptr && masklet_sim_graph_tensor(graph(), i, &tensor); ++i)
        {
            if (std::strcmp(tensor.name, name) == 0)
            {
                return i;
            }
        }
        say(mLogger, Severity::kERROR, "%s: Error Code 3: API Usage Error (Given invalid tensor name: %s.)", function,
            name == nullptr ? "(null)" : name);
        return -1;
    }

    ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    ICudaEngine* getPImpl() noexcept override
    {
        return this;
    }
    int32_t getNbLayers() const noexcept override
    {
        return masklet_sim_graph_nodes(graph());
    }
    IHostMemory* serialize() const noexcept override
    {
        return new HostMemory(masklet_sim_engine_plan(mEngine), mLogger);
    }
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy strategy) noexcept override
    {
        auto context = std::make_unique<Context>(*this, strategy);
        return context->start() ? context.release() : nullptr;
    }
    IExecutionContext* createExecutionContextWithoutDeviceMemory() noexcept override
    {
        return createExecutionContext(ExecutionContextAllocationStrategy::kUSER_MANAGED);
    }
    size_t getDeviceMemorySize() const noexcept override
    {
        return masklet_sim_engine_scratch_bytes(mEngine);
    }
    size_t getDeviceMemorySizeForProfile(int32_t profile) const noexcept override
    {
        return profile == 0 ? getDeviceMemorySize() : 0;
    }
    int64_t getDeviceMemorySizeV2() const noexcept override
    {
        return static_cast<int64_t>(getDeviceMemorySize());
    }
    int64_t getDeviceMemorySizeForProfileV2(int32_t profile) const noexcept override
    {
        return profile == 0 ? getDeviceMemorySizeV2() : 0;
    }
    bool isRefittable() const noexcept override
    {
        return false;
    }
    char const* getName() const noexcept override
    {
        return masklet_sim_engine_name(mEngine);
    }
    int32_t getNbOptimizationProfiles() const noexcept override
    {
        return 1;
    }
    EngineCapability getEngineCapability() const noexcept override
    {
        return EngineCapability::kSTANDARD;
    }
    bool hasImplicitBatchDimension() const noexcept override
    {
        return false;
    }
    ProfilingVerbosity getProfilingVerbosity() const noexcept override
    {
        return ProfilingVerbosity::kLAYER_NAMES_ONLY;
    }
    HardwareCompatibilityLevel getHardwareCompatibilityLevel() const noexcept override
    {
        return HardwareCompatibilityLevel::kNONE;
    }
    int32_t getNbAuxStreams() const noexcept override
    {
        return 0;
    }
    int64_t getStreamableWeightsSize() const noexcept override
    {
        return 0;
    }
#if NV_TENSORRT_VERSION >= 101100
    int64_t getEngineStat(EngineStat stat) const noexcept override
    {
        return stat == EngineStat::kTOTAL_WEIGHTS_SIZE
            ? static_cast<int64_t>(masklet_sim_engine_weights_bytes(mEngine))
            : -1;
    }
#endif
    IEngineInspector* createEngineInspector() const noexcept override
    {
        return new Inspector(*this);
    }
    int32_t getNbIOTensors() const noexcept override
    {
        return masklet_sim_graph_tensors(graph());
    }
    char const* getIOTensorName(int32_t index) const noexcept override
    {
        SimTensor tensor{};
        return masklet_sim_graph_tensor(graph(), index, &tensor) ? tensor.name : nullptr;
    }
    Dims getTensorShape(char const* name) const noexcept override
    {
        SimTensor tensor{};
        if (find("ICudaEngine::getTensorShape", name, tensor) < 0)
        {
            Dims none{};
            none.nbDims = -1;
            return none;
        }
        return dims(tensor);
    }
    Dims getProfileShape(char const* name, int32_t /*profile*/, OptProfileSelector /*select*/) const noexcept override
    {
        return getTensorShape(name);
    }
    DataType getTensorDataType(char const* name) const noexcept override
    {
        SimTensor tensor{};
        return find("ICudaEngine::getTensorDataType", name, tensor) < 0 ? DataType::kFLOAT
                                                                         : static_cast<DataType>(tensor.type);
    }
    TensorIOMode getTensorIOMode(char const* name) const noexcept override
    {
        SimTensor tensor{};
        if (find("ICudaEngine::getTensorIOMode", name, tensor) < 0)
        {
            return TensorIOMode::kNONE;
        }
        return tensor.output ? TensorIOMode::kOUTPUT : TensorIOMode::kINPUT;
    }
    TensorLocation getTensorLocation(char const* name) const noexcept override
    {
        return TensorLocation::kDEVICE;
    }
    bool isShapeInferenceIO(char const* name) const noexcept override
    {
        return false;
    }
    int32_t getTensorBytesPerComponent(char const* name) const noexcept override
    {
        return -1;
    }
    int32_t getTensorComponentsPerElement(char const* name) const noexcept override
    {
        return -1;
    }
    TensorFormat getTensorFormat(char const* name) const noexcept override
    {
        return TensorFormat::kLINEAR;
    }
    char const* getTensorFormatDesc(char const* name) const noexcept override
    {
        return "Row-major linear format (kLINEAR)";
    }
    int32_t getTensorVectorizedDim(char const* name) const noexcept override
    {
        return -1;
    }
    TensorFormat getTensorFormatV2(char const* name, int32_t /*profile*/) const noexcept override
    {
        return TensorFormat::kLINEAR;
    }
    char const* getTensorFormatDescV2(char const* name, int32_t /*profile*/) const noexcept override
    {
        return getTensorFormatDesc(name);
    }
    int32_t getTensorVectorizedDimV2(char const* name, int32_t /*profile*/) const noexcept override
    {
        return -1;
    }
    bool isDebugTensor(char const* name) const noexcept override
    {
        return false;
    }

    std::atomic<int32_t> contexts{0};

private:
    SimEngine* mEngine;
    IGpuAllocator* mAllocator;
    ILogger* mLogger;
    Block mWeights;
};

Context::Context(Engine& engine, ExecutionContextAllocationStrategy strategy) noexcept
    : mEngine(engine)
    , mStrategy(strategy)
    , mAddresses(static_cast<size_t>(engine.getNbIOTensors()))
{
    mImpl = this;
    ++mEngine.contexts;
}

Context::~Context() noexcept
{
    if (mContext != nullptr)
    {
        masklet_sim_context_release(mContext);
    }
    --mEngine.contexts;
}

bool Context::start() noexcept
{
    constexpr char const* kFUNCTION = "ICudaEngine::createExecutionContext";
    if (!mPersistent.allocate(
            mEngine.allocator(), masklet_sim_engine_persistent_bytes(mEngine.engine()), logger(), kFUNCTION))
    {
        return false;
    }
    if (mStrategy != ExecutionContextAllocationStrategy::kUSER_MANAGED)
    {
        uint64_t const bytes = masklet_sim_engine_scratch_bytes(mEngine.engine());
        if (!mOwnScratch.allocate(mEngine.allocator(), bytes, logger(), kFUNCTION))
        {
            return false;
        }
        mScratch = mOwnScratch.address();
        mScratchBytes = bytes;
    }
    mContext = masklet_sim_context_create(mEngine.engine(), mPersistent.address(), logger());
    return mContext != nullptr;
}

ILogger* Context::logger() const noexcept
{
    return mEngine.logger();
}

ICudaEngine const& Context::getEngine() const noexcept
{
    return mEngine;
}

bool Context::reportToProfiler() const noexcept
{
    if (mProfiler == nullptr)
    {
        return false;
    }
    // The CPU runtime is not timed layer by layer: one line for the graph.
    mProfiler->reportLayerTime("simulated graph", masklet_sim_context_last_ms(mContext));
    return true;
}

void Context::setDeviceMemory(void* memory) noexcept
{
    setDeviceMemoryV2(memory, static_cast<int64_t>(masklet_sim_engine_scratch_bytes(mEngine.engine())));
}

void Context::setDeviceMemoryV2(void* memory, int64_t size) noexcept
{
    constexpr char const* kFUNCTION = "IExecutionContext::setDeviceMemoryV2";
    auto const address = reinterpret_cast<uint64_t>(memory);
    if (mStrategy != ExecutionContextAllocationStrategy::kUSER_MANAGED)
    {
        say(logger(), Severity::kERROR, "%s: Error Code 3: API Usage Error (the context manages its own memory)", kFUNCTION);
        return;
    }
    uint64_t const need = masklet_sim_engine_scratch_bytes(mEngine.engine());
    if (address != 0 && (address % kALIGNMENT != 0 || size < 0 || static_cast<uint64_t>(size) < need))
    {
        say(logger(), Severity::kERROR,
            "%s: Error Code 3: API Usage Error (%lld bytes at %p: %llu bytes aligned to %llu are needed)", kFUNCTION,
            static_cast<long long>(size), memory, static_cast<unsigned long long>(need),
            static_cast<unsigned long long>(kALIGNMENT));
        mScratch = mScratchBytes = 0;
        return;
    }
    mScratch = address;
    mScratchBytes = static_cast<uint64_t>(size);
}

size_t Context::updateDeviceMemorySizeForShapes() noexcept
{
    return masklet_sim_engine_scratch_bytes(mEngine.engine());
}

bool Context::setInputShape(char const* name, Dims const& wanted) noexcept
{
    Dims const have = mEngine.getTensorShape(name);
    bool const same = have.nbDims >= 0 && have.nbDims == wanted.nbDims
        && std::equal(have.d, have.d + have.nbDims, wanted.d);
    if (!same)
    {
        say(logger(), Severity::kERROR,
            "IExecutionContext::setInputShape: Error Code 3: API Usage Error (the static dimensions of %s cannot change)",
            name == nullptr ? "(null)" : name);
    }
    return same;
}

Dims Context::getTensorShape(char const* name) const noexcept
{
    return mEngine.getTensorShape(name);
}

Dims Context::getTensorStrides(char const* name) const noexcept
{
    Dims const shape = mEngine.getTensorShape(name);
    Dims strides = shape;
    int64_t stride = 1;
    for (int32_t i = shape.nbDims - 1; i >= 0; --i)
    {
        strides.d[i] = stride;
        stride *= shape.d[i];
    }
    return strides;
}

int64_t Context::getMaxOutputSize(char const* name) const noexcept
{
    SimTensor tensor{};
    bool const known = mEngine.find("IExecutionContext::getMaxOutputSize", name, tensor) >= 0;
    return known && tensor.output ? static_cast<int64_t>(tensor.bytes) : -1;
}

bool Context::bind(char const* function, char const* name, void const* data, bool inputs, bool outputs) noexcept
{
    SimTensor tensor{};
    int32_t const index = mEngine.find(function, name, tensor);
    if (index < 0)
    {
        return false;
    }
    auto const address = reinterpret_cast<uint64_t>(data);
    if (!(tensor.output ? outputs : inputs) || address % kALIGNMENT != 0)
    {
        say(logger(), Severity::kERROR,
            "IExecutionContext::%s: Error Code 3: API Usage Error (%s at %p: wrong direction, or not aligned to %llu bytes)",
            function, name, data, static_cast<unsigned long long>(kALIGNMENT));
        return false;
    }
    mAddresses[static_cast<size_t>(index)] = address;
    return true;
}

void const* Context::getTensorAddress(char const* name) const noexcept
{
    SimTensor tensor{};
    int32_t const index = mEngine.find("IExecutionContext::getTensorAddress", name, tensor);
    return index < 0 ? nullptr : reinterpret_cast<void const*>(mAddresses[static_cast<size_t>(index)]);
}

bool Context::enqueueV3(cudaStream_t stream) noexcept
{
    bool const enqueued = masklet_sim_context_enqueue(
        mContext, stream, mAddresses.data(), mAddresses.size(), mScratch, mScratchBytes, logger());
    if (enqueued && mProfiler != nullptr && mEmits)
    {
        masklet_sim_driver_synchronize(stream);
        reportToProfiler();
    }
    return enqueued;
}

ILogger* Inspector::logger() const noexcept
{
    return mEngine.logger();
}

char const* Inspector::getLayerInformation(int32_t index, LayerInformationFormat /*format*/) const noexcept
{
    return masklet_sim_graph_node(mEngine.graph(), index);
}

char const* Inspector::getEngineInformation(LayerInformationFormat /*format*/) const noexcept
{
    if (mText == nullptr)
    {
        mText = masklet_sim_engine_json(mEngine.engine());
    }
    return static_cast<char const*>(masklet_sim_bytes_data(mText));
}

class Runtime final : public IRuntime, public apiv::VRuntimeStandIn
{
public:
    explicit Runtime(ILogger* logger) noexcept
        : mLogger(logger)
    {
        mImpl = this;
    }
    ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    IRuntime* getPImpl() noexcept override
    {
        return this;
    }
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override
    {
        SimEngine* const read = masklet_sim_engine_open(blob, size, mLogger);
        if (read == nullptr)
        {
            return nullptr;
        }
        auto engine = std::make_unique<Engine>(read, mAllocator, mLogger);
        return engine->placeWeights() ? engine.release() : nullptr;
    }
    void setGpuAllocator(IGpuAllocator* allocator) noexcept override
    {
        mAllocator = allocator;
    }
    ILogger* getLogger() const noexcept override
    {
        return mLogger;
    }
    bool setMaxThreads(int32_t count) noexcept override
    {
        mThreads = count;
        return count > 0;
    }
    int32_t getMaxThreads() const noexcept override
    {
        return mThreads;
    }
    int32_t getNbDLACores() const noexcept override
    {
        return 0;
    }
    IPluginRegistry& getPluginRegistry() noexcept override
    {
        return pluginRegistry();
    }
    void setEngineHostCodeAllowed(bool allowed) noexcept override
    {
        mHostCode = allowed;
    }
    bool getEngineHostCodeAllowed() const noexcept override
    {
        return mHostCode;
    }

private:
    ILogger* mLogger;
    IGpuAllocator* mAllocator = nullptr;
    int32_t mThreads = 1;
    bool mHostCode = false;
};
} // namespace

extern "C" void* masklet_sim_create_runtime(void* logger, int32_t version) noexcept
{
    auto* log = static_cast<ILogger*>(logger);
    if (!accepts(log, "createInferRuntime", version) || !masklet_sim_driver_ready(log))
    {
        return nullptr;
    }
    return static_cast<IRuntime*>(new Runtime(log));
}
