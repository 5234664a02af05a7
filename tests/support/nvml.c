/* A stand-in for libnvidia-ml.so.1 with two made-up GPUs: what masklet asks of NVML, answered with
 * constants. The second GPU is the one at PCI address 0. Nothing it says is a measurement. */
#include <stdio.h>
#include <string.h>

#define OK 0
#define BAD_ARGUMENT 2
#define NOT_FOUND 6
#define TOO_SMALL 7

typedef struct { unsigned index; } Device;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, instance; } Process;

static Device devices[2] = {{0}, {1}};

int nvmlInit_v2(void) { return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "a stand-in's error"; }

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "570.00");
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **device) {
    if (index > 1) return BAD_ARGUMENT;
    *device = &devices[index];
    return OK;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *address, Device **device) {
    if (strcmp(address, "00000000:00:00.0") != 0) return NOT_FOUND;
    *device = &devices[1];
    return OK;
}
int nvmlDeviceGetIndex(Device *device, unsigned *index) { *index = device->index; return OK; }
int nvmlDeviceGetName(Device *device, char *text, unsigned length) {
    snprintf(text, length, "Stand-in %u", device->index);
    return OK;
}
int nvmlDeviceGetPowerUsage(Device *device, unsigned *milliwatts) {
    *milliwatts = device->index == 1 ? 250000 : 30000;
    return OK;
}
int nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    (void)device;
    *rates = (Utilization){97, 40};
    return OK;
}
int nvmlDeviceGetClockInfo(Device *device, int kind, unsigned *mhz) {
    (void)device;
    *mhz = kind == 2 ? 2619 : 1980;
    return OK;
}
int nvmlDeviceGetMaxClockInfo(Device *device, int kind, unsigned *mhz) {
    return nvmlDeviceGetClockInfo(device, kind, mhz);
}
int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *celsius) {
    (void)device;
    (void)sensor;
    *celsius = 61;
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(Device *device, Memory *memory) {
    (void)device;
    memory->total = 80ull << 30;
    memory->used = 3ull << 30;
    memory->free = 77ull << 30;
    memory->reserved = 0;
    return OK;
}
/* The software power cap. */
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, unsigned long long *reasons) {
    (void)device;
    *reasons = 4;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, Process *processes) {
    (void)device;
    if (*count == 0) { *count = 1; return TOO_SMALL; }
    processes[0] = (Process){4194304, 2ull << 30, 0, 0};
    *count = 1;
    return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, unsigned *count, Process *processes) {
    (void)device;
    (void)processes;
    *count = 0;
    return OK;
}
