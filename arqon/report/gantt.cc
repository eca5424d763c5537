#include "arqon/report/gantt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "arqon/report/gantt_style.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

constexpr sim::Ps kPsPerUs = sim::kPsPerMs / 1000;

// "pool/N" of every replica, in the fleet's order.
std::vector<std::string> replica_names(const documents::Scenario& scenario) {
  std::vector<std::string> out;
  for (const sim::PoolSpec& pool : scenario.fleet.pools) {
    for (int i = 0; i < sim::seats_of(pool); ++i) out.push_back(fmt::format("{}/{}", pool.name, i));
  }
  return out;
}

// One row a run: begin us, length us, steps, decodes, chunks, chunk tokens, waiting, KV per mille.
std::string rows_of(const sim::StepLog& log, std::size_t replica) {
  std::string out = "[";
  for (const sim::StepRun& run : log.runs) {
    if (run.replica != replica) continue;
    if (out.size() > 1) out += ',';
    fmt::format_to(std::back_inserter(out), "[{},{},{},{},{},{},{},{}]", run.begin / kPsPerUs,
                   std::max<sim::Ps>(1, (run.end - run.begin) / kPsPerUs), run.steps, run.decodes,
                   run.chunks, run.chunk_tokens, run.waiting,
                   std::lround(1000 * static_cast<double>(run.kv_use)));
  }
  return out + "]";
}

// A name inside a script: escaped for HTML it has no quotes, backslashes or line ends left.
std::string script_text(const std::string& text) {
  std::string out;
  for (const char c : escape(text)) out += c == '\\' ? '/' : c;
  return out;
}

std::string lead(const sim::StepLog& log) {
  const double from = static_cast<double>(log.from) / static_cast<double>(sim::kPsPerSecond);
  const double to = static_cast<double>(log.to) / static_cast<double>(sim::kPsPerSecond);
  std::string out = fmt::format("{} runs of steps between {} and {}.", log.runs.size(),
                                clock_text(from), clock_text(to));
  if (log.full) out += " The rest of this time did not fit: choose a shorter one.";
  if (log.runs.empty()) out += " Nothing ran then.";
  return out;
}

}  // namespace

std::string gantt_html(const sim::StepLog& log, const documents::Scenario& scenario) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
      "<title>{0} \xE2\x80\x93 step by step</title><style>{1}</style></head><body><main>"
      "<p class=\"eyebrow\">ArqonHPO twin, step by step</p><h1>{0}</h1><p class=\"lead\">{2}</p>"
      "{3}<noscript><p>This page draws with a script, which is switched off here.</p></noscript>"
      "<div id=\"lanes\"></div></main><script>const replicas=[",
      escape(scenario.name), gantt_style(), lead(log), gantt_controls());
  const std::vector<std::string> names = replica_names(scenario);
  for (std::size_t r = 0; r < names.size(); ++r) {
    if (r > 0) out += ',';
    fmt::format_to(std::back_inserter(out), "{{name:\"{}\",runs:{}}}", script_text(names[r]),
                   rows_of(log, r));
  }
  out += fmt::format("];{}</script></body></html>\n", gantt_script());
  return out;
}

}  // namespace arqon::report
