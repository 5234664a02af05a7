// The two names that TensorRT's headers take from CUDA. Both are opaque handles, and the same ones
// as the driver's CUstream and CUevent. Nothing else of CUDA is needed to compile the stand-in.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
