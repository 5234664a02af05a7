// A TensorRT client as any other: it loads the two libraries at run time and uses the classes of
// NVIDIA's headers. Each call of the program is one scenario; what it sees goes to standard output
// as `key value` lines, which the Rust test reads.
//
//   client build ONNX PLAN [--workspace BYTES] [--weak] [--fp16] [--cache FILE] [--version N]
//   client run PLAN INPUTS OUTPUTS [--refuse N] [--no-scratch] [--short-scratch] [--static]
//       [--driver-memory] [--unbound] [--misaligned] [--rebind] [--overlap] [--scribble weights|persistent]
//       [--early-destroy] [--profile] [--twice] [--capture] [--unsupported]
#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace
{
using namespace nvinfer1;

struct Logger final : ILogger
{
    void log(Severity severity, char const* text) noexcept override
    {
        std::printf("log%c %s\n", "FEWIV"[static_cast<int>(severity)], text);
    }
} logger;

void* driver = nullptr;

template <class F>
F symbol(void* library, char const* name)
{
    void* const found = dlsym(library, name);
    if (found == nullptr)
    {
        std::printf("missing %s\n", name);
        std::exit(3);
    }
    return reinterpret_cast<F>(found);
}

void* load(char const* name)
{
    void* const library = dlopen(name, RTLD_NOW);
    if (library == nullptr)
    {
        std::printf("missing %s\n", dlerror());
        std::exit(3);
    }
    return library;
}

void* device(uint64_t bytes)
{
    uint64_t address = 0;
    symbol<int (*)(uint64_t*, size_t)>(driver, "cuMemAlloc_v2")(&address, bytes);
    return reinterpret_cast<void*>(address);
}

bool release(void* address)
{
    return symbol<int (*)(uint64_t)>(driver, "cuMemFree_v2")(reinterpret_cast<uint64_t>(address)) == 0;
}

char* host(void const* address)
{
    return symbol<char* (*) (uint64_t, uint64_t)>(driver, "sim_translate")(reinterpret_cast<uint64_t>(address), 1);
}

// Counts, and refuses the allocation with the given number.
struct Allocator final : IGpuAllocator
{
    void* allocate(uint64_t size, uint64_t alignment, AllocatorFlags) noexcept override
    {
        std::printf("allocate %llu %llu\n", static_cast<unsigned long long>(size),
            static_cast<unsigned long long>(alignment));
        if (++count == refused)
        {
            return nullptr;
        }
        void* const block = device(size);
        blocks.push_back(block);
        live.insert(block);
        return block;
    }
    bool deallocate(void* memory) noexcept override
    {
        if (live.erase(memory) == 0)
        {
            std::printf("wrongFree %p\n", memory);
            return false;
        }
        return release(memory);
    }
    int count = 0;
    int refused = -1;
    std::vector<void*> blocks;
    std::set<void*> live;
};

struct Profiler final : IProfiler
{
    void reportLayerTime(char const* layer, float ms) noexcept override
    {
        std::printf("layer %s %d\n", layer, ms > 0);
    }
};

std::vector<char> read(char const* path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(char const* path, void const* data, size_t size)
{
    std::ofstream(path, std::ios::binary).write(static_cast<char const*>(data), static_cast<std::streamsize>(size));
}

using Options = std::map<std::string, std::string>;

Options options(int count, char** arguments)
{
    Options found;
    for (int i = 0; i < count; ++i)
    {
        bool const hasValue = i + 1 < count && std::strncmp(arguments[i + 1], "--", 2) != 0;
        found[arguments[i] + 2] = hasValue ? arguments[i + 1] : "";
        i += hasValue;
    }
    return found;
}

void describe(char const* role, char const* name, DataType type, Dims const& dims)
{
    std::printf("%s %s %d", role, name, static_cast<int>(type));
    for (int32_t i = 0; i < dims.nbDims; ++i)
    {
        std::printf(" %lld", static_cast<long long>(dims.d[i]));
    }
    std::printf("\n");
}

int build(char const* onnx, char const* plan, Options const& options)
{
    void* const library = load("libnvinfer.so.10");
    void* const parserLibrary = load("libnvonnxparser.so.10");
    int32_t version = symbol<int32_t (*)()>(library, "getInferLibVersion")();
    std::printf("version %d\n", version);
    if (options.count("version"))
    {
        version = std::atoi(options.at("version").c_str());
    }
    std::unique_ptr<IBuilder> builder(static_cast<IBuilder*>(
        symbol<void* (*) (void*, int32_t)>(library, "createInferBuilder_INTERNAL")(&logger, version)));
    if (!builder)
    {
        return 1;
    }
    uint32_t const typed = 1U << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
    std::unique_ptr<INetworkDefinition> network(builder->createNetworkV2(options.count("weak") ? 0 : typed));
    if (!network)
    {
        return 1;
    }
    network->setName("component");
    std::unique_ptr<nvonnxparser::IParser> parser(static_cast<nvonnxparser::IParser*>(
        symbol<void* (*) (void*, void*, int)>(parserLibrary, "createNvOnnxParser_INTERNAL")(
            network.get(), &logger, NV_ONNX_PARSER_VERSION)));
    auto const model = read(onnx);
    if (!parser->parse(model.data(), model.size()))
    {
        for (int i = 0; i < parser->getNbErrors(); ++i)
        {
            auto const* error = parser->getError(i);
            std::printf("parserError code=%d node=%d name=%s op=%s %s\n", static_cast<int>(error->code()), error->node(),
                error->nodeName(), error->nodeOperator(), error->desc());
        }
        return 1;
    }
    for (int32_t i = 0; i < network->getNbInputs(); ++i)
    {
        auto const* tensor = network->getInput(i);
        describe("input", tensor->getName(), tensor->getType(), tensor->getDimensions());
    }
    for (int32_t i = 0; i < network->getNbOutputs(); ++i)
    {
        auto const* tensor = network->getOutput(i);
        describe("output", tensor->getName(), tensor->getType(), tensor->getDimensions());
    }
    std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
    std::unique_ptr<ITimingCache> cache;
    if (options.count("workspace"))
    {
        config->setMemoryPoolLimit(
            MemoryPoolType::kWORKSPACE, std::strtoull(options.at("workspace").c_str(), nullptr, 10));
    }
    if (options.count("fp16"))
    {
        config->setFlag(BuilderFlag::kFP16);
    }
    if (options.count("cache"))
    {
        auto const bytes = read(options.at("cache").c_str());
        cache.reset(config->createTimingCache(bytes.data(), bytes.size()));
        if (!cache)
        {
            return 1;
        }
        config->setTimingCache(*cache, false);
    }
    std::unique_ptr<IHostMemory> built(builder->buildSerializedNetwork(*network, *config));
    if (!built)
    {
        return 1;
    }
    write(plan, built->data(), built->size());
    if (options.count("cache"))
    {
        std::unique_ptr<IHostMemory> bytes(config->getTimingCache()->serialize());
        write(options.at("cache").c_str(), bytes->data(), bytes->size());
    }
    return 0;
}

uint64_t bytesOf(ICudaEngine const& engine, char const* name)
{
    Dims const dims = engine.getTensorShape(name);
    uint64_t bytes = 4;
    for (int32_t i = 0; i < dims.nbDims; ++i)
    {
        bytes *= static_cast<uint64_t>(dims.d[i]);
    }
    return bytes;
}

int execute(ICudaEngine& engine, Allocator& allocator, char const* inputs, char const* outputs, Options const& options)
{
    auto const has = [&](char const* name) { return options.count(name) != 0; };
    std::printf("engine %s layers=%d scratch=%lld\n", engine.getName(), engine.getNbLayers(),
        static_cast<long long>(engine.getDeviceMemorySizeV2()));
    if (has("unsupported"))
    {
        std::printf("unsupported %d\n", engine.createSerializationConfig() == nullptr);
        std::printf("budget %d\n", engine.setWeightStreamingBudgetV2(1));
        std::printf("unknownTensor %d\n", engine.getTensorShape("no such tensor").nbDims);
        std::unique_ptr<IEngineInspector> inspector(engine.createEngineInspector());
        std::printf("inspect %s\n", inspector->getEngineInformation(LayerInformationFormat::kJSON));
    }
    std::unique_ptr<IExecutionContext> context(
        engine.createExecutionContext(has("static") ? ExecutionContextAllocationStrategy::kSTATIC
                                                    : ExecutionContextAllocationStrategy::kUSER_MANAGED));
    if (!context)
    {
        return 1;
    }
    std::vector<void*> owned;
    auto const take = [&](uint64_t bytes) {
        owned.push_back(device(bytes));
        return owned.back();
    };
    if (!has("static") && !has("no-scratch"))
    {
        int64_t const bytes = engine.getDeviceMemorySizeV2() - (has("short-scratch") ? 1 : 0);
        context->setDeviceMemoryV2(take(static_cast<uint64_t>(bytes)), bytes);
    }
    Profiler profiler;
    if (has("profile"))
    {
        context->setProfiler(&profiler);
    }
    auto const values = read(inputs);
    size_t at = 0;
    std::vector<std::pair<void*, uint64_t>> results;
    std::string firstInput;
    for (int32_t i = 0; i < engine.getNbIOTensors(); ++i)
    {
        char const* const name = engine.getIOTensorName(i);
        bool const output = engine.getTensorIOMode(name) == TensorIOMode::kOUTPUT;
        uint64_t const bytes = bytesOf(engine, name);
        void* address = output && has("overlap") && !results.empty() ? results[0].first : take(bytes + 256);
        if (i == 0 && has("misaligned"))
        {
            address = static_cast<char*>(address) + 4;
        }
        if (!output)
        {
            std::memcpy(host(address), values.data() + at, bytes);
            at += bytes;
        }
        else
        {
            results.emplace_back(address, bytes);
        }
        if (i == 0)
        {
            firstInput = name;
        }
        if (!(i == 0 && has("unbound")))
        {
            std::printf("bind %d\n", context->setTensorAddress(name, address));
        }
    }
    if (at != values.size())
    {
        std::printf("inputs %zu of %zu bytes used\n", at, values.size());
    }
    if (has("scribble"))
    {
        // The allocator gave the weights first, then the persistent memory.
        host(allocator.blocks[options.at("scribble") == "weights" ? 0 : 1])[100] ^= 1;
    }
    std::vector<char> firstLaunch;
    if (has("capture"))
    {
        symbol<void (*)(int)>(driver, "fake_capture")(1);
    }
    for (int run = 0; run < (has("twice") ? 2 : 1); ++run)
    {
        bool const enqueued = context->enqueueV3(nullptr);
        std::printf("enqueue %d\n", enqueued);
    }
    if (has("rebind"))
    {
        // Must not matter for what was enqueued.
        context->setTensorAddress(firstInput.c_str(), take(bytesOf(engine, firstInput.c_str())));
    }
    for (auto const& [address, bytes] : results)
    {
        if (!has("profile"))
        {
            // Nothing has run yet.
            std::printf("untouched %d\n", host(address)[0] == 0 && host(address)[bytes - 1] == 0);
        }
    }
    if (has("capture"))
    {
        // What was captured runs with every launch, on the inputs of its time.
        symbol<void (*)(int)>(driver, "fake_capture")(0);
        std::vector<char> const saved(host(owned[1]), host(owned[1]) + 64);
        std::memset(host(owned[1]), 0x7F, 64);
        symbol<void (*)()>(driver, "fake_launch_graph")();
        symbol<int (*)(void*)>(driver, "cuStreamSynchronize")(nullptr);
        firstLaunch.assign(host(results[0].first), host(results[0].first) + results[0].second);
        std::memcpy(host(owned[1]), saved.data(), saved.size());
        symbol<void (*)()>(driver, "fake_launch_graph")();
    }
    if (has("early-destroy"))
    {
        context.reset();
    }
    symbol<int (*)(void*)>(driver, "cuStreamSynchronize")(nullptr);
    if (has("capture"))
    {
        std::printf("changed %d\n", std::memcmp(firstLaunch.data(), host(results[0].first), firstLaunch.size()) != 0);
    }
    std::vector<char> all;
    for (auto const& [address, bytes] : results)
    {
        all.insert(all.end(), host(address), host(address) + bytes);
    }
    write(outputs, all.data(), all.size());
    for (void* block : owned)
    {
        release(block);
    }
    return 0;
}

int run(char const* plan, char const* inputs, char const* outputs, Options const& options)
{
    void* const library = load("libnvinfer.so.10");
    int32_t const version = symbol<int32_t (*)()>(library, "getInferLibVersion")();
    std::unique_ptr<IRuntime> runtime(static_cast<IRuntime*>(
        symbol<void* (*) (void*, int32_t)>(library, "createInferRuntime_INTERNAL")(&logger, version)));
    if (!runtime)
    {
        std::printf("noRuntime\n");
        return 1;
    }
    driver = load("libcuda.so.1");
    Allocator allocator;
    if (!options.count("driver-memory"))
    {
        runtime->setGpuAllocator(&allocator);
    }
    if (options.count("refuse"))
    {
        allocator.refused = std::atoi(options.at("refuse").c_str());
    }
    auto const bytes = read(plan);
    std::unique_ptr<ICudaEngine> engine(runtime->deserializeCudaEngine(bytes.data(), bytes.size()));
    int const code = engine ? execute(*engine, allocator, inputs, outputs, options) : 1;
    std::printf("deserialised %d\n", engine != nullptr);
    engine.reset();
    runtime.reset();
    std::printf("leaked %zu %d\n", allocator.live.size(), symbol<int (*)()>(driver, "fake_live")());
    return code;
}
} // namespace

int main(int count, char** arguments)
{
    std::string const what = count > 1 ? arguments[1] : "";
    if (what == "build" && count >= 4)
    {
        return build(arguments[2], arguments[3], options(count - 4, arguments + 4));
    }
    if (what == "run" && count >= 5)
    {
        return run(arguments[2], arguments[3], arguments[4], options(count - 5, arguments + 5));
    }
    return 2;
}
