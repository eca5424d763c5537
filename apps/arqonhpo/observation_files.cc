#include "apps/arqonhpo/observation_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "arqon/calibrate/read_observations.h"
#include "arqon/os/file.h"

namespace arqon::app {
namespace {

constexpr std::size_t kBytesMax = 64u << 20;

Error broken(const wire::Diagnostics& problems, const std::filesystem::path& file,
             const Console& console) {
  for (const wire::Diagnostic& problem : problems) {
    console.talk(wire::to_string(problem, file.string()) + "\n");
  }
  return {ErrorCode::kInvalidConfig,
          fmt::format("{}: {} {}; nothing was done", file.string(), problems.size(),
                      problems.size() == 1 ? "problem" : "problems")};
}

}  // namespace

Result<ObservationFiles> read_observation_files(const std::vector<std::filesystem::path>& files,
                                                double window_s, const Console& console) {
  ObservationFiles out;
  for (const std::filesystem::path& file : files) {
    auto text = os::read_file(file, kBytesMax);
    if (!text) return tl::unexpected(text.error());
    if (calibrate::looks_like_history(*text)) {
      auto history = calibrate::read_history(*text);
      if (!history) return tl::unexpected(broken(history.error(), file, console));
      std::ranges::copy(calibrate::windows_of(*history, window_s), std::back_inserter(out.windows));
      out.traffic = calibrate::traffic_of(*history);
      continue;
    }
    auto windows = calibrate::read_observations(*text);
    if (!windows) return tl::unexpected(broken(windows.error(), file, console));
    std::ranges::copy(*windows, std::back_inserter(out.windows));
  }
  return out;
}

}  // namespace arqon::app
