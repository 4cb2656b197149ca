#pragma once

#include <cstdint>
#include <string_view>

namespace driftlock {

/// The SeverityNumber of a level's name in any case of letters; 0, unspecified, for names that are not known.
///
/// By appendix B of the log data model: the short names of the model, then those of syslog, Windows, Log4j, Zap,
/// java.util.logging, .NET and Python. `critical` is 21, as in .NET and Python; syslog's own keyword for it is `crit`.
std::int32_t severityNumberOf(std::string_view name);

}  // namespace driftlock
