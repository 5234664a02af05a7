// nvonnxparser::IParser: keeps the model, and says which node is at fault when it is refused.
#include "objects.h"

#include <fstream>
#include <iterator>

namespace
{
using namespace masklet_sim;
using nvonnxparser::ErrorCode;

class ParserError final : public nvonnxparser::IParserError
{
public:
    explicit ParserError(SimFailure const& failure) noexcept
        : mFailure(failure)
    {
    }
    ErrorCode code() const override
    {
        return static_cast<ErrorCode>(mFailure.code);
    }
    char const* desc() const override
    {
        return mFailure.text;
    }
    char const* file() const override
    {
        return __FILE__;
    }
    int line() const override
    {
        return __LINE__;
    }
    char const* func() const override
    {
        return "parse";
    }
    int node() const override
    {
        return mFailure.node;
    }
    char const* nodeName() const override
    {
        return mFailure.name;
    }
    char const* nodeOperator() const override
    {
        return mFailure.op;
    }
    char const* const* localFunctionStack() const override
    {
        return nullptr;
    }
    int32_t localFunctionStackSize() const override
    {
        return 0;
    }

private:
    SimFailure mFailure;
};

class Parser final : public nvonnxparser::IParserStandIn
{
public:
    Parser(Network& network, nvinfer1::ILogger* logger) noexcept
        : mNetwork(network)
        , mLogger(logger)
    {
    }
    nvinfer1::ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    bool parse(void const* model, size_t size, char const* path) noexcept override
    {
        SimFailure failure{};
        if (mNetwork.graph() != nullptr)
        {
            failure.code = static_cast<int32_t>(ErrorCode::kINVALID_VALUE);
            failure.node = -1;
            std::snprintf(failure.text, sizeof failure.text, "The network was parsed already");
            return refuseModel(failure);
        }
        SimGraph const* graph = masklet_sim_graph_parse(model, size, &failure);
        if (graph == nullptr)
        {
            return refuseModel(failure);
        }
        mNetwork.fill(graph);
        say(mLogger, Severity::kVERBOSE, "Parsed %s: %d nodes", path == nullptr ? "a model" : path,
            masklet_sim_graph_nodes(graph));
        return true;
    }
    bool parseFromFile(char const* path, int /*verbosity*/) noexcept override
    {
        std::ifstream file(path, std::ios::binary);
        std::vector<char> const model{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        return parse(model.data(), model.size(), path);
    }
    int getNbErrors() const noexcept override
    {
        return static_cast<int>(mErrors.size());
    }
    nvonnxparser::IParserError const* getError(int index) const noexcept override
    {
        return index >= 0 && index < getNbErrors() ? mErrors[index].get() : nullptr;
    }
    void clearErrors() noexcept override
    {
        mErrors.clear();
    }
    void setFlags(nvonnxparser::OnnxParserFlags flags) noexcept override
    {
        mFlags = flags;
    }
    nvonnxparser::OnnxParserFlags getFlags() const noexcept override
    {
        return mFlags;
    }
    void setFlag(nvonnxparser::OnnxParserFlag flag) noexcept override
    {
        mFlags |= 1U << static_cast<uint32_t>(flag);
    }
    void clearFlag(nvonnxparser::OnnxParserFlag flag) noexcept override
    {
        mFlags &= ~(1U << static_cast<uint32_t>(flag));
    }
    bool getFlag(nvonnxparser::OnnxParserFlag flag) const noexcept override
    {
        return (mFlags >> static_cast<uint32_t>(flag) & 1U) != 0;
    }

private:
    bool refuseModel(SimFailure const& failure) noexcept
    {
        say(mLogger, Severity::kERROR, "ModelImporter: %s", failure.text);
        mErrors.push_back(std::make_unique<ParserError>(failure));
        return false;
    }

    Network& mNetwork;
    nvinfer1::ILogger* mLogger;
    nvonnxparser::OnnxParserFlags mFlags = 1U << static_cast<uint32_t>(nvonnxparser::OnnxParserFlag::kNATIVE_INSTANCENORM);
    std::vector<std::unique_ptr<ParserError>> mErrors;
};
} // namespace

extern "C" void* masklet_sim_create_parser(void* network, void* logger, int /*version*/) noexcept
{
    auto* log = static_cast<nvinfer1::ILogger*>(logger);
    auto* definition = dynamic_cast<Network*>(static_cast<nvinfer1::INetworkDefinition*>(network));
    if (definition == nullptr)
    {
        say(log, Severity::kERROR, "createParser: the network is not one of this library's");
        return nullptr;
    }
    return static_cast<nvonnxparser::IParser*>(new Parser(*definition, log));
}

extern "C" int masklet_sim_parser_version() noexcept
{
    return NV_ONNX_PARSER_VERSION;
}
