#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/state_bytes.hpp"
#include "codec/codec.hpp"
#include "report/allowance.hpp"
#include "report/report.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Adds to a flagged verdict what a person needs to judge it: the record and what is new in it, what was expected instead, the
/// window's metrics; with an anomaly's first report also what it takes to compute them again, and a permutation test.
class Describer {
 public:
  /// `codec` measures the window; `excerpts` compresses what an anomaly keeps of it; `matcher` (LZ4) finds the record of the
  /// baseline that is nearest.
  Describer(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher);

  /// A record was judged. Every so many earn a permutation test, so that a storm of anomalies does not stop the engine.
  void pass();

  /// Completes a report whose verdict, time and anomaly are set. `record` is the one that was flagged, null if the report is
  /// about none; `finding` is what the channel found, null if there is nothing. What it costs is taken off the allowance; when
  /// that is spent, the metrics that are expensive are left out.
  void describe(Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report,
                Allowance& allowance);

  void snapshot(std::vector<std::uint8_t>& out) const;
  void restore(StateReader& read);

 private:
  void measure(Stream& stream, Report& report, Allowance& allowance);
  void test(const std::vector<std::string>& baseline, const std::vector<std::string>& window, Report& report,
            Allowance& allowance);

  const Settings& settings_;
  const Codec& codec_;
  const Codec& excerpts_;
  const Codec& matcher_;
  /// Permutation tests that may be run.
  std::uint32_t tests_, sinceTest_ = 0;
};

}  // namespace driftlock
