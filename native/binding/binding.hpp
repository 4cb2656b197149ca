#pragma once

#include <napi.h>

namespace driftlock::binding {

/// Each adds its part of src/native.ts to `exports`.
void exportCodec(Napi::Object exports);
void exportMetrics(Napi::Object exports);
void exportEngine(Napi::Object exports);
void exportPool(Napi::Object exports);
void exportSplit(Napi::Object exports);
void exportCountRecords(Napi::Object exports);
void exportSeverity(Napi::Object exports);
void exportPrivacy(Napi::Object exports);
void exportRecompute(Napi::Object exports);
void exportAlarmBudget(Napi::Object exports);

}  // namespace driftlock::binding
