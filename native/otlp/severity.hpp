#pragma once

#include <cstdint>
#include <string_view>

namespace driftlock {

/// Returns the SeverityNumber of a level's name, whatever its case; 0, unspecified, for unknown names.
///
/// The names follow appendix B of the log data model: the short names of the model, then those of syslog, Windows, Log4j, Zap,
/// java.util.logging, .NET and Python. `critical` is 21, as in .NET and Python; syslog's own keyword for it is `crit`.
std::int32_t severityNumberOf(std::string_view name);

}  // namespace driftlock
