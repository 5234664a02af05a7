// Objects that more than one source file makes or looks into.
#pragma once

#include "core.h"

#include <memory>
#include <string>
#include <vector>

namespace masklet_sim
{
// The logger that was last given to a builder or runtime.
extern nvinfer1::ILogger* lastLogger;

nvinfer1::IPluginRegistry& pluginRegistry() noexcept;

// Whether a client compiled for `version` can use this library; an error in the log when not.
bool accepts(nvinfer1::ILogger* logger, char const* function, int32_t version) noexcept;

// Bytes of the Rust half as TensorRT hands them out.
class HostMemory final : public nvinfer1::IHostMemory, public nvinfer1::apiv::VHostMemoryStandIn
{
public:
    HostMemory(SimBytes* bytes, nvinfer1::ILogger* logger) noexcept
        : mBytes(bytes)
        , mLogger(logger)
    {
        mImpl = this;
    }
    ~HostMemory() noexcept override
    {
        masklet_sim_bytes_release(mBytes);
    }
    nvinfer1::ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    void* data() const noexcept override
    {
        return masklet_sim_bytes_data(mBytes);
    }
    std::size_t size() const noexcept override
    {
        return masklet_sim_bytes_size(mBytes);
    }
    nvinfer1::DataType type() const noexcept override
    {
        return nvinfer1::DataType::kINT8;
    }

private:
    SimBytes* mBytes;
    nvinfer1::ILogger* mLogger;
};

inline nvinfer1::Dims dims(SimTensor const& tensor) noexcept
{
    nvinfer1::Dims dims{};
    dims.nbDims = tensor.rank <= nvinfer1::Dims::MAX_DIMS ? tensor.rank : -1;
    for (int32_t i = 0; i < dims.nbDims; ++i)
    {
        dims.d[i] = tensor.dims[i];
    }
    return dims;
}

// A network's input or output. The parser makes them; nothing about them can be changed but what
// has no meaning here.
class Tensor final : public nvinfer1::ITensor, public nvinfer1::apiv::VTensorStandIn
{
public:
    Tensor(SimTensor const& tensor, nvinfer1::ILogger* logger)
        : mName(tensor.name)
        , mDims(dims(tensor))
        , mType(static_cast<nvinfer1::DataType>(tensor.type))
        , mOutput(tensor.output)
        , mLogger(logger)
    {
        mImpl = this;
    }
    nvinfer1::ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    char const* getName() const noexcept override
    {
        return mName.c_str();
    }
    nvinfer1::Dims getDimensions() const noexcept override
    {
        return mDims;
    }
    nvinfer1::DataType getType() const noexcept override
    {
        return mType;
    }
    bool isNetworkInput() const noexcept override
    {
        return !mOutput;
    }
    bool isNetworkOutput() const noexcept override
    {
        return mOutput;
    }
    nvinfer1::TensorLocation getLocation() const noexcept override
    {
        return nvinfer1::TensorLocation::kDEVICE;
    }
    nvinfer1::TensorFormats getAllowedFormats() const noexcept override
    {
        return 1U << static_cast<uint32_t>(nvinfer1::TensorFormat::kLINEAR);
    }
    void setAllowedFormats(nvinfer1::TensorFormats formats) noexcept override
    {
        if ((formats & getAllowedFormats()) == 0)
        {
            say(mLogger, Severity::kERROR, "ITensor::setAllowedFormats: the simulated TensorRT has linear tensors only");
        }
    }
    bool isShapeTensor() const noexcept override
    {
        return false;
    }
    bool isExecutionTensor() const noexcept override
    {
        return true;
    }

private:
    std::string mName;
    nvinfer1::Dims mDims;
    nvinfer1::DataType mType;
    bool mOutput;
    nvinfer1::ILogger* mLogger;
};

class Network final : public nvinfer1::INetworkDefinition, public nvinfer1::apiv::VNetworkDefinitionStandIn
{
public:
    Network(nvinfer1::IBuilder& builder, nvinfer1::NetworkDefinitionCreationFlags flags,
        nvinfer1::ILogger* logger) noexcept
        : mBuilder(builder)
        , mFlags(flags)
        , mLogger(logger)
    {
        mImpl = this;
    }
    ~Network() noexcept override
    {
        masklet_sim_graph_release(mGraph);
    }
    // Takes over the graph; the parser's part.
    void fill(SimGraph const* graph)
    {
        mGraph = graph;
        SimTensor tensor{};
        for (int32_t i = 0; masklet_sim_graph_tensor(graph, i, &tensor); ++i)
        {
            (tensor.output ? mOutputs : mInputs).push_back(std::make_unique<Tensor>(tensor, mLogger));
        }
    }
    SimGraph const* graph() const noexcept
    {
        return mGraph;
    }
    nvinfer1::ILogger* logger() const noexcept override
    {
        return mLogger;
    }
    int32_t getNbLayers() const noexcept override
    {
        return mGraph == nullptr ? 0 : masklet_sim_graph_nodes(mGraph);
    }
    int32_t getNbInputs() const noexcept override
    {
        return static_cast<int32_t>(mInputs.size());
    }
    int32_t getNbOutputs() const noexcept override
    {
        return static_cast<int32_t>(mOutputs.size());
    }
    nvinfer1::ITensor* getInput(int32_t index) const noexcept override
    {
        return at(mInputs, index);
    }
    nvinfer1::ITensor* getOutput(int32_t index) const noexcept override
    {
        return at(mOutputs, index);
    }
    void setName(char const* name) noexcept override
    {
        mName = name == nullptr ? "" : name;
    }
    char const* getName() const noexcept override
    {
        return mName.c_str();
    }
    bool hasImplicitBatchDimension() const noexcept override
    {
        return false;
    }
    nvinfer1::IBuilder& getBuilder() const noexcept override
    {
        return mBuilder;
    }
    nvinfer1::NetworkDefinitionCreationFlags getFlags() const noexcept override
    {
        return mFlags;
    }
    bool getFlag(nvinfer1::NetworkDefinitionCreationFlag flag) const noexcept override
    {
        return (mFlags >> static_cast<uint32_t>(flag) & 1U) != 0;
    }

private:
    using Tensors = std::vector<std::unique_ptr<Tensor>>;
    static nvinfer1::ITensor* at(Tensors const& tensors, int32_t index) noexcept
    {
        return index >= 0 && static_cast<size_t>(index) < tensors.size() ? tensors[index].get() : nullptr;
    }

    nvinfer1::IBuilder& mBuilder;
    nvinfer1::NetworkDefinitionCreationFlags mFlags;
    nvinfer1::ILogger* mLogger;
    std::string mName = "Unnamed Network 0";
    SimGraph const* mGraph = nullptr;
    Tensors mInputs;
    Tensors mOutputs;
};
} // namespace masklet_sim
