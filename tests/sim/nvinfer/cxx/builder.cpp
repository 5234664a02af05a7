// IBuilder and what it makes: networks, configurations, timing caches, plans.
#include "objects.h"

#include <cstring>
#include <limits>

namespace masklet_sim
{
nvinfer1::ILogger* lastLogger = nullptr;

namespace
{
using namespace nvinfer1;

// No key of the real cache's: a header, and the hash of each model that was built.
class TimingCache final : public ITimingCache, public apiv::VTimingCacheStandIn
{
public:
    using Bytes = std::vector<char>;
    static constexpr char kHEADER[] = "SIMtimes";

    TimingCache(std::shared_ptr<Bytes> bytes, ILogger* logger) noexcept
        : mBytes(std::move(bytes))
        , mLogger(logger)
    {
        mImpl = this;
    }
    static std::shared_ptr<Bytes> empty()
    {
        return std::make_shared<Bytes>(kHEADER, kHEADER + sizeof kHEADER - 1);
    }
    static bool isOne(void const* blob, size_t size) noexcept
    {
        size_t const header = sizeof kHEADER - 1;
        return size >= header && (size - header) % sizeof(uint64_t) == 0 && std::memcmp(blob, kHEADER, header) == 0;
    }
    static void add(Bytes& bytes, uint64_t hash)
    {
        for (size_t at = sizeof kHEADER - 1; at < bytes.size(); at += sizeof hash)
        {
            if (std::memcmp(&bytes[at], &hash, sizeof hash) == 0)
            {
                return;
            }
        }
        auto const* first = reinterpret_cast<char const*>(&hash);
        bytes.insert(bytes.end(), first, first + sizeof hash);
    }
    std::shared_ptr<Bytes> const& bytes() const noexcept
    {
        return mBytes;
    }
    ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    IHostMemory* serialize() const noexcept override
    {
        return new HostMemory(masklet_sim_bytes_copy(mBytes->data(), mBytes->size()), mLogger);
    }
    bool reset() noexcept override
    {
        *mBytes = *empty();
        return true;
    }

private:
    std::shared_ptr<Bytes> mBytes;
    ILogger* mLogger;
};

class BuilderConfig final : public IBuilderConfig, public apiv::VBuilderConfigStandIn
{
public:
    explicit BuilderConfig(ILogger* logger) noexcept
        : mLogger(logger)
    {
        mImpl = this;
        reset();
    }
    ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    void reset() noexcept override
    {
        mFlags = mPreview = 0;
        mTactics = ~TacticSources{0};
        for (auto& limit : mLimits)
        {
            limit = std::numeric_limits<std::size_t>::max();
        }
        mAverage = 1;
        mLevel = 3;
        mAuxStreams = -1;
        mVerbosity = ProfilingVerbosity::kLAYER_NAMES_ONLY;
        mCompatibility = HardwareCompatibilityLevel::kNONE;
        mMonitor = nullptr;
        mStream = nullptr;
        mCache.reset();
    }
    // Everything that was set, as text.
    std::string fingerprint() const
    {
        return "flags=" + std::to_string(mFlags) + " preview=" + std::to_string(mPreview) + " tactics="
            + std::to_string(mTactics) + " average=" + std::to_string(mAverage) + " level=" + std::to_string(mLevel)
            + " auxStreams=" + std::to_string(mAuxStreams) + " verbosity="
            + std::to_string(static_cast<int32_t>(mVerbosity)) + " compatibility="
            + std::to_string(static_cast<int32_t>(mCompatibility));
    }
    IProgressMonitor* monitor() const noexcept
    {
        return mMonitor;
    }
    void remember(uint64_t hash) const
    {
        if (mCache != nullptr)
        {
            TimingCache::add(*mCache->bytes(), hash);
        }
    }

    void setFlags(BuilderFlags flags) noexcept override
    {
        mFlags = flags;
    }
    BuilderFlags getFlags() const noexcept override
    {
        return mFlags;
    }
    void setFlag(BuilderFlag flag) noexcept override
    {
        mFlags |= 1U << static_cast<uint32_t>(flag);
    }
    void clearFlag(BuilderFlag flag) noexcept override
    {
        mFlags &= ~(1U << static_cast<uint32_t>(flag));
    }
    bool getFlag(BuilderFlag flag) const noexcept override
    {
        return (mFlags >> static_cast<uint32_t>(flag) & 1U) != 0;
    }
    void setPreviewFeature(PreviewFeature feature, bool enable) noexcept override
    {
        uint32_t const bit = 1U << static_cast<uint32_t>(feature);
        mPreview = enable ? mPreview | bit : mPreview & ~bit;
    }
    bool getPreviewFeature(PreviewFeature feature) const noexcept override
    {
        return (mPreview >> static_cast<uint32_t>(feature) & 1U) != 0;
    }
    void setMemoryPoolLimit(MemoryPoolType pool, std::size_t size) noexcept override
    {
        auto const index = static_cast<uint32_t>(pool);
        if (index < kPOOLS)
        {
            mLimits[index] = size;
        }
    }
    std::size_t getMemoryPoolLimit(MemoryPoolType pool) const noexcept override
    {
        auto const index = static_cast<uint32_t>(pool);
        return index < kPOOLS ? mLimits[index] : 0;
    }
    void setAvgTimingIterations(int32_t count) noexcept override
    {
        mAverage = count;
    }
    int32_t getAvgTimingIterations() const noexcept override
    {
        return mAverage;
    }
    void setBuilderOptimizationLevel(int32_t level) noexcept override
    {
        mLevel = level;
    }
    int32_t getBuilderOptimizationLevel() const noexcept override
    {
        return mLevel;
    }
    void setMaxAuxStreams(int32_t count) noexcept override
    {
        mAuxStreams = count;
    }
    int32_t getMaxAuxStreams() const noexcept override
    {
        return mAuxStreams;
    }
    bool setTacticSources(TacticSources sources) noexcept override
    {
        mTactics = sources;
        return true;
    }
    TacticSources getTacticSources() const noexcept override
    {
        return mTactics;
    }
    void setProfilingVerbosity(ProfilingVerbosity verbosity) noexcept override
    {
        mVerbosity = verbosity;
    }
    ProfilingVerbosity getProfilingVerbosity() const noexcept override
    {
        return mVerbosity;
    }
    void setHardwareCompatibilityLevel(HardwareCompatibilityLevel level) noexcept override
    {
        mCompatibility = level;
    }
    HardwareCompatibilityLevel getHardwareCompatibilityLevel() const noexcept override
    {
        return mCompatibility;
    }
    void setProgressMonitor(IProgressMonitor* monitor) noexcept override
    {
        mMonitor = monitor;
    }
    IProgressMonitor* getProgressMonitor() const noexcept override
    {
        return mMonitor;
    }
    void setProfileStream(cudaStream_t const stream) noexcept override
    {
        mStream = stream;
    }
    cudaStream_t getProfileStream() const noexcept override
    {
        return mStream;
    }
    int32_t getNbOptimizationProfiles() const noexcept override
    {
        return 0;
    }
    ITimingCache* createTimingCache(void const* blob, std::size_t size) const noexcept override
    {
        if (size == 0)
        {
            return new TimingCache(TimingCache::empty(), mLogger);
        }
        if (blob == nullptr || !TimingCache::isOne(blob, size))
        {
            say(mLogger, Severity::kERROR,
                "IBuilderConfig::createTimingCache: Error Code 1: Serialization (the %zu bytes are not a timing cache)",
                size);
            return nullptr;
        }
        auto const* first = static_cast<char const*>(blob);
        return new TimingCache(std::make_shared<TimingCache::Bytes>(first, first + size), mLogger);
    }
    bool setTimingCache(ITimingCache const& cache, bool /*ignoreMismatch*/) noexcept override
    {
        auto const* ours = dynamic_cast<TimingCache const*>(&cache);
        if (ours == nullptr)
        {
            return false;
        }
        mCache = std::make_unique<TimingCache>(ours->bytes(), mLogger);
        return true;
    }
    ITimingCache const* getTimingCache() const noexcept override
    {
        return mCache.get();
    }

private:
    static constexpr uint32_t kPOOLS = 6;

    ILogger* mLogger;
    BuilderFlags mFlags;
    uint32_t mPreview;
    TacticSources mTactics;
    std::size_t mLimits[kPOOLS];
    int32_t mAverage;
    int32_t mLevel;
    int32_t mAuxStreams;
    ProfilingVerbosity mVerbosity;
    HardwareCompatibilityLevel mCompatibility;
    IProgressMonitor* mMonitor;
    cudaStream_t mStream;
    std::unique_ptr<TimingCache> mCache;
};

class Builder final : public IBuilder, public apiv::VBuilderStandIn
{
public:
    explicit Builder(ILogger* logger) noexcept
        : mLogger(logger)
    {
        mImpl = this;
    }
    ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    ILogger* getLogger() const noexcept override
    {
        return mLogger;
    }
    bool platformHasFastFp16() const noexcept override
    {
        return true;
    }
    bool platformHasFastInt8() const noexcept override
    {
        return true;
    }
    bool platformHasTf32() const noexcept override
    {
        return true;
    }
    int32_t getMaxDLABatchSize() const noexcept override
    {
        return 0;
    }
    int32_t getNbDLACores() const noexcept override
    {
        return 0;
    }
    // Building allocates nothing on the device.
    void setGpuAllocator(IGpuAllocator* /*allocator*/) noexcept override {}
    bool setMaxThreads(int32_t count) noexcept override
    {
        mThreads = count;
        return count > 0;
    }
    int32_t getMaxThreads() const noexcept override
    {
        return mThreads;
    }
    void reset() noexcept override {}
    IPluginRegistry& getPluginRegistry() noexcept override
    {
        return pluginRegistry();
    }
    IBuilderConfig* createBuilderConfig() noexcept override
    {
        return new BuilderConfig(mLogger);
    }
    INetworkDefinition* createNetworkV2(NetworkDefinitionCreationFlags flags) noexcept override
    {
        auto const typed = static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
        if ((flags >> typed & 1U) == 0)
        {
            say(mLogger, Severity::kERROR,
                "IBuilder::createNetworkV2: Error Code 3: API Usage Error (the simulated TensorRT has strongly typed "
                "networks only, set NetworkDefinitionCreationFlag::kSTRONGLY_TYPED)");
            return nullptr;
        }
        return new Network(*this, flags, mLogger);
    }
    IHostMemory* buildSerializedNetwork(INetworkDefinition& network, IBuilderConfig& config) noexcept override
    {
        auto const* ours = dynamic_cast<Network const*>(&network);
        auto const* options = dynamic_cast<BuilderConfig const*>(&config);
        if (ours == nullptr || options == nullptr)
        {
            return refuseBuild("the network or the configuration is not this library's");
        }
        if (ours->graph() == nullptr)
        {
            return refuseBuild("Network must have at least one output");
        }
        for (auto const flag : {BuilderFlag::kFP16, BuilderFlag::kINT8, BuilderFlag::kBF16})
        {
            if (options->getFlag(flag))
            {
                return refuseBuild("precision flags are not allowed in a strongly typed network");
            }
        }
        IProgressMonitor* const monitor = options->monitor();
        constexpr char const* kPHASE = "Building Engine";
        if (monitor != nullptr)
        {
            monitor->phaseStart(kPHASE, nullptr, 2);
        }
        bool const wanted = monitor == nullptr || monitor->stepComplete(kPHASE, 0);
        auto const fingerprint = options->fingerprint();
        SimBuildOptions const build{
            ours->getName(), fingerprint.c_str(), options->getMemoryPoolLimit(MemoryPoolType::kWORKSPACE)};
        SimBytes* const plan = wanted ? masklet_sim_build(ours->graph(), &build, mLogger) : nullptr;
        if (monitor != nullptr)
        {
            if (plan != nullptr)
            {
                monitor->stepComplete(kPHASE, 1);
            }
            monitor->phaseFinish(kPHASE);
        }
        if (plan == nullptr)
        {
            return wanted ? nullptr : refuseBuild("the progress monitor ended the build");
        }
        options->remember(masklet_sim_graph_hash(ours->graph()));
        return new HostMemory(plan, mLogger);
    }
    bool isNetworkSupported(INetworkDefinition const& network, IBuilderConfig const& /*config*/) const noexcept override
    {
        return dynamic_cast<Network const*>(&network) != nullptr;
    }

private:
    IHostMemory* refuseBuild(char const* why) const noexcept
    {
        say(mLogger, Severity::kERROR, "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (%s)", why);
        return nullptr;
    }

    ILogger* mLogger;
    int32_t mThreads = 1;
};

class PluginRegistry final : public IPluginRegistryStandIn
{
public:
    ILogger* logger() const noexcept override
    {
        return lastLogger;
    }
};
} // namespace

IPluginRegistry& pluginRegistry() noexcept
{
    static PluginRegistry registry;
    return registry;
}

bool accepts(ILogger* logger, char const* function, int32_t version) noexcept
{
    lastLogger = logger;
    int32_t const ours = masklet_sim_version();
    if (version / 10000 == ours / 10000)
    {
        return true;
    }
    say(logger, Severity::kERROR,
        "%s: Error Code 6: API Usage Error (the caller was compiled for TensorRT %d.%d, this library is %d.%d)", function,
        version / 10000, version / 100 % 100, ours / 10000, ours / 100 % 100);
    return false;
}
} // namespace masklet_sim

using namespace masklet_sim;

extern "C" int32_t masklet_sim_header_version() noexcept
{
    return static_cast<int32_t>(NV_TENSORRT_VERSION);
}

extern "C" void masklet_sim_log(void* logger, int32_t severity, char const* text) noexcept
{
    static_cast<nvinfer1::ILogger*>(logger)->log(static_cast<Severity>(severity), text);
}

extern "C" void masklet_sim_refuse(void* logger, char const* function) noexcept
{
    refuse<void>(static_cast<nvinfer1::ILogger*>(logger), function);
}

extern "C" void* masklet_sim_logger() noexcept
{
    return lastLogger;
}

extern "C" void* masklet_sim_plugin_registry() noexcept
{
    return &pluginRegistry();
}

extern "C" void* masklet_sim_create_builder(void* logger, int32_t version) noexcept
{
    auto* log = static_cast<nvinfer1::ILogger*>(logger);
    if (!accepts(log, "createInferBuilder", version))
    {
        return nullptr;
    }
    return static_cast<nvinfer1::IBuilder*>(new Builder(log));
}
