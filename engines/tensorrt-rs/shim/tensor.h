// Fills the C description of a tensor.
#pragma once

#include "shim.h"

#include "NvInfer.h"

namespace TENSORRT_RS_SET {

// 0 when the tensor has more dimensions than the description holds.
inline int32_t describe(tensorrt_rs_tensor* out, char const* name, nvinfer1::DataType type,
    nvinfer1::Dims const& dims, bool is_input, bool on_device) {
    constexpr int32_t kMAX_RANK = sizeof(out->extents) / sizeof(out->extents[0]);
    if (name == nullptr || dims.nbDims < 0 || dims.nbDims > kMAX_RANK) {
        return 0;
    }
    *out = tensorrt_rs_tensor{};
    out->name = name;
    out->data_type = static_cast<int32_t>(type);
    out->rank = dims.nbDims;
    for (int32_t i = 0; i < dims.nbDims; ++i) {
        out->extents[i] = dims.d[i];
    }
    out->is_input = is_input ? 1 : 0;
    out->on_device = on_device ? 1 : 0;
    return 1;
}

} // namespace TENSORRT_RS_SET
