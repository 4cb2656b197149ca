#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/state_bytes.hpp"
#include "codec/codec.hpp"
#include "report/allowance.hpp"
#include "report/report.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Adds to a flagged verdict what a person needs to judge it: the record and what is new in it, what was expected instead, the
/// window's metrics; an anomaly's first report also has the data to compute them again, and a permutation test.
class Describer {
 public:
  /// `codec` measures the window; `excerpts` compresses what an anomaly keeps of it; `matcher` (LZ4) finds the nearest record of
  /// the baseline.
  Describer(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher);

  /// Counts a judged record. A permutation test is earned per so many records, so that a storm of anomalies does not stop the
  /// engine.
  void pass();

  /// Completes a report whose verdict, time and anomaly are set. `record` is the flagged one, null if the report is about none;
  /// `finding` is what the channel found, null if there is nothing. The cost is subtracted from the allowance; when that is
  /// spent, expensive metrics are left out.
  void describe(Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report,
                Allowance& allowance);

  void snapshot(std::vector<std::uint8_t>& out) const;
  void restore(StateReader& read);

 private:
  void measure(Stream& stream, Report& report, Allowance& allowance);

  const Settings& settings_;
  const Codec& codec_;
  const Codec& excerpts_;
  const Codec& matcher_;
  /// The number of permutation tests that may be run.
  std::uint32_t tests_, sinceTest_ = 0;
};

}  // namespace driftlock
