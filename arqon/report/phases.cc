#include "arqon/report/phases.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include "arqon/report/words.h"

namespace arqon::report {
namespace {

using documents::PhaseRow;

double share(std::uint64_t good, std::uint64_t arrived) {
  return arrived == 0 ? 1.0 : static_cast<double>(good) / static_cast<double>(arrived);
}

double share(const PhaseRow& row) {
  return share(std::accumulate(row.good.begin(), row.good.end(), std::uint64_t{0}),
               std::accumulate(row.arrived.begin(), row.arrived.end(), std::uint64_t{0}));
}

std::size_t repeats_of(const documents::TuneResult& result) {
  std::size_t repeats = 0;
  for (const PhaseRow& row : result.phases) repeats = std::max(repeats, row.good.size());
  return repeats;
}

std::string difference_text(const PhaseRow& row) {
  if (!row.against_default) return "\xE2\x80\x93";
  const stats::PairedMean& d = *row.against_default;
  if (!std::isfinite(d.low)) return fmt::format("{:+.1f} pt", d.mean);
  return fmt::format("{:+.1f} pt ({:+.1f} to {:+.1f})", d.mean, d.low, d.high);
}

template <typename... Args>
void put(std::string& out, fmt::format_string<Args...> text, Args&&... args) {
  fmt::format_to(std::back_inserter(out), text, std::forward<Args>(args)...);
}

void bar_row(std::string& out, const PhaseRow& row) {
  const bool own = row.strategy == "arqonhpo";
  put(out,
      "<span class=\"bar-name{}\">{}</span><span class=\"bar-track\"><span class=\"bar{}\" "
      "style=\"display:block;width:{:.2f}%\"></span>",
      own ? " own" : "", escape(row.strategy), own ? " own" : "", 100 * share(row));
  for (std::size_t r = 0; r < row.good.size(); ++r) {
    put(out, "<span class=\"seed\" style=\"left:{:.2f}%\" title=\"repeat {}: {}\"></span>",
        100 * share(row.good[r], row.arrived[r]), r + 1,
        percent(share(row.good[r], row.arrived[r])));
  }
  put(out, "</span><span class=\"bar-value\">{}</span>", percent(share(row)));
}

std::string bars(const documents::TuneResult& result) {
  std::string out;
  for (std::size_t i = 0; i < result.phases.size(); ++i) {
    const PhaseRow& row = result.phases[i];
    if (i == 0 || result.phases[i - 1].phase != row.phase) {
      put(out, "{}<figure class=\"bars\"><figcaption>{}</figcaption><div class=\"bar-rows\">",
          i == 0 ? "" : "</div></figure>", escape(row.phase));
    }
    bar_row(out, row);
  }
  return out + "</div></figure>";
}

std::string table(const documents::TuneResult& result) {
  const auto cells = phase_cells(result);
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string& heading : cells.front()) {
    put(out, "<th scope=\"col\">{}</th>", escape(heading));
  }
  out += "</tr></thead><tbody>";
  for (std::size_t i = 1; i < cells.size(); ++i) {
    put(out, "<tr{}>", cells[i][1] == "arqonhpo" ? " class=\"own\"" : "");
    for (const std::string& cell : cells[i]) put(out, "<td>{}</td>", escape(cell));
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

}  // namespace

std::vector<std::vector<std::string>> phase_cells(const documents::TuneResult& result) {
  const std::size_t repeats = repeats_of(result);
  std::vector<std::vector<std::string>> cells(1, {"phase", "strategy"});
  for (std::size_t r = 0; r < repeats; ++r) cells[0].push_back(fmt::format("repeat {}", r + 1));
  cells[0].insert(cells[0].end(), {"all", "good requests", "against default (95 %)"});
  for (const PhaseRow& row : result.phases) {
    std::vector<std::string> line{row.phase, row.strategy};
    for (std::size_t r = 0; r < repeats; ++r) {
      const bool ran = r < row.good.size() && row.arrived[r] > 0;
      line.push_back(ran ? percent(share(row.good[r], row.arrived[r])) : "\xE2\x80\x93");
    }
    const auto good = std::accumulate(row.good.begin(), row.good.end(), std::uint64_t{0});
    line.insert(line.end(), {percent(share(row)), count(static_cast<double>(good)),
                             difference_text(row)});
    cells.push_back(std::move(line));
  }
  return cells;
}

std::string phases_section(const documents::TuneResult& result) {
  if (result.phases.empty()) return "";
  return "<h2>Phase by phase, repeat by repeat</h2><p class=\"note\">Share of requests that were "
         "good, as the load client saw them; a tick per repeat. Each repeat sends the same "
         "requests "
         "to every strategy, in random order of strategies. The interval is Student's, over the "
         "repeats' paired differences.</p>" +
         bars(result) + table(result);
}

}  // namespace arqon::report
