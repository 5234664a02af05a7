// The only two CUDA types that TensorRT's headers name. Stands in for NVIDIA's header of this name,
// so that the shim compiles on a machine without the CUDA toolkit; both are opaque pointers and the
// same as the driver's CUstream and CUevent.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
